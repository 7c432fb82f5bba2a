//! Crash-style commands: text in, a document out.
