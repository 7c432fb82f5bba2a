//! JSON, written as it is made: an answer of 4,000 backtraces is never in memory as JSON.

use crate::dump::VirtAddr;
use std::fmt::Display;
use std::io::{self, Write};

/// Writes JSON. The caller closes what it opens.
pub(super) struct Json<W> {
    out: W,
    /// Whether a comma stands before the next element.
    comma: bool,
}

impl<W: Write> Json<W> {
    pub(super) const fn new(out: W) -> Json<W> {
        Json { out, comma: false }
    }

    /// Ends the text with a newline.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.write_all(b"\n")?;
        self.out.flush()
    }

    fn element(&mut self) -> io::Result<()> {
        if self.comma {
            self.out.write_all(b",")?;
        }
        self.comma = true;
        Ok(())
    }

    /// `{ … }` around what `fill` writes.
    pub(super) fn object(
        &mut self,
        fill: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        self.nest(b"{", b"}", fill)
    }

    /// `[ … ]` around what `fill` writes.
    pub(super) fn array(
        &mut self,
        fill: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        self.nest(b"[", b"]", fill)
    }

    /// An array with an element for each item.
    pub(super) fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Self, T) -> io::Result<()>,
    ) -> io::Result<()> {
        self.array(|json| items.into_iter().try_for_each(|item| each(json, item)))
    }

    fn nest(
        &mut self,
        open: &[u8],
        close: &[u8],
        fill: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        self.element()?;
        self.out.write_all(open)?;
        self.comma = false;
        fill(self)?;
        self.out.write_all(close)?;
        self.comma = true;
        Ok(())
    }

    /// The name of the member whose value is written next.
    pub(super) fn key(&mut self, key: &str) -> io::Result<&mut Self> {
        self.text(key)?;
        self.out.write_all(b":")?;
        self.comma = false;
        Ok(self)
    }

    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        self.element()?;
        serde_json::to_writer(&mut self.out, text).map_err(io::Error::from)
    }

    /// A number, or something else that reads as JSON already.
    pub(super) fn plain(&mut self, value: impl Display) -> io::Result<()> {
        self.element()?;
        write!(self.out, "{value}")
    }

    pub(super) fn float(&mut self, value: f64) -> io::Result<()> {
        if value.is_finite() { self.plain(value) } else { self.null() }
    }

    pub(super) fn null(&mut self) -> io::Result<()> {
        self.plain("null")
    }

    pub(super) fn address(&mut self, at: VirtAddr) -> io::Result<()> {
        self.element()?;
        write!(self.out, "\"{at}\"")
    }

    /// The value, or null.
    pub(super) fn maybe<T>(
        &mut self,
        value: Option<T>,
        write: impl FnOnce(&mut Self, T) -> io::Result<()>,
    ) -> io::Result<()> {
        match value {
            Some(value) => write(self, value),
            None => self.null(),
        }
    }
}

#[cfg(test)]
pub(super) fn written(write: impl FnOnce(&mut Json<&mut Vec<u8>>) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut Json::new(&mut out)).unwrap();
    String::from_utf8(out).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_stand_between_and_text_is_escaped() {
        let text = written(|json| {
            json.object(|json| {
                json.key("rows")?.list([1, 2], |json, n| json.plain(n))?;
                json.key("name")?.text("a\"b\\\u{1b}")?;
                json.key("none")?.array(|_| Ok(()))?;
                json.key("at")?.address(VirtAddr(0xffff_8880_0000_0000))?;
                json.key("share")?.float(f64::NAN)?;
                json.key("list")?.list([(), ()], |json, ()| json.object(|_| Ok(())))
            })
        });
        assert_eq!(
            text,
            r#"{"rows":[1,2],"name":"a\"b\\\u001b","none":[],"at":"0xffff888000000000","share":null,"list":[{},{}]}"#
        );
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }
}
