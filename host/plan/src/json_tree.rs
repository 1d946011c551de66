//! JSON as a tree with positions: `serde_json` judges the text, then a scan of the valid text finds the places.

use std::collections::HashSet;

use serde_json::Value;

use crate::Code;
use crate::text::{Offset, Problems};
use crate::tree::{Entry, Kind, Tree};

pub(crate) fn read(text: &str, problems: &mut Problems<'_>) -> Tree {
    if let Err(error) = serde_json::from_str::<Value>(text) {
        let line: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let at = line + error.column().saturating_sub(1);
        let said = error.to_string();
        let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(it, _)| it);
        let what = format!("not JSON: {said}");
        problems.add(at, Code("malformed-file"), what, "correct the syntax at this place");
        return Tree { at: 0, kind: Kind::Table(Vec::new()) };
    }
    Scan { text, at: 0 }.value(problems)
}

/// Walks text that is known to be valid JSON, nested no deeper than `serde_json` allows.
struct Scan<'a> {
    text: &'a str,
    at: Offset,
}

impl Scan<'_> {
    fn value(&mut self, problems: &mut Problems<'_>) -> Tree {
        let first = self.peek();
        let at = self.at;
        let kind = match first {
            b'{' => self.table(problems),
            b'[' => self.list(problems),
            b'"' => Kind::String(self.string()),
            _ => self.scalar(),
        };
        Tree { at, kind }
    }

    /// The next byte that is not blank.
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or_default()
    }

    /// Steps over a comma; says whether the closing byte came instead, and steps over that.
    fn ended(&mut self, close: u8) -> End {
        let mut next = self.peek();
        if next == b',' {
            self.at += 1;
            next = self.peek();
        }
        if next == close || next == 0 {
            self.at += 1;
            return End::Yes;
        }
        End::No
    }

    fn table(&mut self, problems: &mut Problems<'_>) -> Kind {
        self.at += 1;
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = HashSet::new();
        while self.ended(b'}') == End::No {
            let key_at = self.at;
            let key = self.string();
            self.peek();
            self.at += 1; // the colon
            let value = self.value(problems);
            if !seen.insert(key.clone()) {
                let what = format!("not JSON: key `{key}` is written twice");
                problems.add(key_at, Code("malformed-file"), what, "keep one of the two");
                continue;
            }
            entries.push(Entry { key, key_at, value });
        }
        Kind::Table(entries)
    }

    fn list(&mut self, problems: &mut Problems<'_>) -> Kind {
        self.at += 1;
        let mut items = Vec::new();
        while self.ended(b']') == End::No {
            items.push(self.value(problems));
        }
        Kind::List(items)
    }

    fn string(&mut self) -> String {
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        while bytes.get(self.at).is_some_and(|it| *it != b'"') {
            self.at += if bytes[self.at] == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        self.text.get(start..self.at).and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default()
    }

    fn scalar(&mut self) -> Kind {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.find(|c: char| c.is_whitespace() || ",]}".contains(c)).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        self.at += length.max(1);
        match serde_json::from_str(word) {
            Ok(Value::Bool(it)) => Kind::Boolean(it),
            Ok(Value::Number(it)) => Kind::Number(it),
            Ok(Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_)) | Err(_) => Kind::Null,
        }
    }
}

#[derive(PartialEq, Eq)]
enum End {
    Yes,
    No,
}
