//! The explorer: draws what the floors below say.
