//! The few shapes that every screen is made of. All draw a window of rows, never a whole list.

pub(crate) mod frame;
pub(crate) mod lines;
pub(crate) mod popup;
pub(crate) mod window;
