//! From YAML events to the tree, counting everything that an alias could multiply.
//!
//! The parser is asked for one event at a time, and nesting is a stack here and not recursion, so
//! hostile depth costs nothing. A syntax error ends the reading; a duplicate key, an unset
//! variable or a tag does not, so that all of those are reported at once.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::variables::{Environment, substitute};
use super::{Document, Entry, Node, NodeId, Position, SyntaxProblem, Value, lines, number, scalar};
use crate::config::error::Quoted;
use crate::model::limits::{CONFIG_BYTES, CONFIG_DEPTH, CONFIG_ERRORS, CONFIG_NODES};

/// Reads one YAML document.
pub(in crate::config) fn build(text: &str, env: &Environment<'_>) -> Document {
    let mut builder = Builder {
        env,
        stack: Vec::new(),
        anchors: HashMap::new(),
        counts: Counts::default(),
        root: None,
        documents: 0,
        problems: Vec::new(),
    };
    let complete = builder.read(text);
    let Builder { root, mut problems, .. } = builder;
    let mut root = root.filter(|_| complete.is_ok());
    match (complete, &mut root) {
        (Err(Stop(problem)), _) => problems.push(problem),
        (Ok(()), Some(root)) => number(root, &mut 0),
        (Ok(()), None) => problems.push(empty_file()),
    }
    Document { root, problems }
}

fn empty_file() -> SyntaxProblem {
    SyntaxProblem {
        at: Position::START,
        message: "the file is empty".to_owned(),
        help: Some("a configuration has at least `listeners`, `regions` and `deployments`".into()),
    }
}

/// A problem after which nothing more can be read.
struct Stop(SyntaxProblem);

impl Stop {
    fn new(at: Position, message: String, help: &str) -> Self {
        Self(SyntaxProblem { at, message, help: (!help.is_empty()).then(|| help.to_owned()) })
    }
}

/// A collection whose end has not been read.
struct Open {
    at: Position,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<Node> },
}

/// What an alias stands for, and what it costs.
struct Anchored {
    node: Node,
    size: Size,
}

#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: u64,
    height: usize,
}

/// The tree after aliases were expanded, and what the anchors keep.
#[derive(Default)]
struct Counts {
    nodes: usize,
    text_bytes: u64,
}

struct Builder<'e> {
    env: &'e Environment<'e>,
    stack: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    counts: Counts,
    root: Option<Node>,
    documents: usize,
    problems: Vec<SyntaxProblem>,
}

impl Builder<'_> {
    fn read(&mut self, text: &str) -> Result<(), Stop> {
        let mut parser = Parser::new(StrInput::new(text));
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| syntax_error(&error, text))?;
            self.event(event, position(span))?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, at: Position) -> Result<(), Stop> {
        match event {
            Event::DocumentStart(_) => self.document(at),
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(&text, style, tag.as_deref(), at);
                self.add(value, anchor, at)
            }
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "seq", at);
                self.open(anchor, at, OpenKind::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "map", at);
                self.open(anchor, at, OpenKind::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn document(&mut self, at: Position) -> Result<(), Stop> {
        self.documents += 1;
        if self.documents > 1 {
            let help = "a configuration is one document; remove the `---` and what follows it";
            return Err(Stop::new(at, "a second document starts here".to_owned(), help));
        }
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Position) -> Value {
        let is_text = tag.is_some_and(|tag| {
            (tag.is_yaml_core_schema() && tag.suffix == "str")
                || (tag.handle.is_empty() && tag.suffix == "!")
        });
        if !is_text {
            self.refuse_tag(tag, "str", at);
        }
        if self.expects_key() {
            if text.contains("${") {
                let help = "variables are substituted in values only; write the key out";
                self.problem(at, "a key contains a variable".to_owned(), help);
            }
            return Value::Text(text.into());
        }
        match substitute(text, self.env) {
            Ok(substituted) => {
                let text = substituted.as_deref().unwrap_or(text);
                if style == ScalarStyle::Plain && !is_text {
                    scalar::resolve(text)
                } else {
                    Value::Text(text.into())
                }
            }
            Err(problem) => {
                // In text of one line the variable can be pointed to; quotes shift it by one.
                let one_line = matches!(style, ScalarStyle::Plain) && at.length > problem.offset;
                let shift = if one_line { problem.offset } else { 0 };
                let at = Position { column: at.column + shift, length: at.length - shift, ..at };
                self.problem(at, problem.message, &problem.help);
                Value::Broken
            }
        }
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, natural: &str, at: Position) {
        let Some(tag) = tag else { return };
        if tag.is_yaml_core_schema() && tag.suffix == natural {
            return;
        }
        let help = "remove it; the kind of a value follows from how it is written";
        self.problem(at, format!("the tag {} is not supported", Quoted(&tag.to_string())), help);
    }

    fn problem(&mut self, at: Position, message: String, help: &str) {
        if self.problems.len() < CONFIG_ERRORS {
            self.problems.push(SyntaxProblem { at, message, help: Some(help.to_owned()) });
        }
    }

    fn expects_key(&self) -> bool {
        matches!(self.stack.last(), Some(Open { kind: OpenKind::Map { key: None, .. }, .. }))
    }

    fn open(&mut self, anchor: usize, at: Position, kind: OpenKind) -> Result<(), Stop> {
        if self.expects_key() {
            let help = "a key is a name, such as `regions:`";
            return Err(Stop::new(at, "a list or mapping is used as a key".to_owned(), help));
        }
        self.check_depth(self.stack.len() + 1, at)?;
        self.stack.push(Open { at, anchor, kind });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Stop> {
        let Some(open) = self.stack.pop() else { return Ok(()) };
        let value = match open.kind {
            OpenKind::List(items) => Value::List(items),
            OpenKind::Map { entries, .. } => Value::Map(self.without_duplicates(entries)),
        };
        self.add(value, open.anchor, open.at)
    }

    /// Drops and reports every entry whose key was there before.
    fn without_duplicates(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut first: HashMap<Rc<str>, u32> = HashMap::with_capacity(entries.len());
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries {
            if entry.name() == "<<" {
                let help = "merge keys are not part of YAML 1.2; write the fields out, or use an \
                            alias for a whole value";
                self.problem(entry.key.at, "`<<` does not merge".to_owned(), help);
                continue;
            }
            let Value::Text(name) = &entry.key.value else { continue };
            match first.get(name) {
                None => {
                    first.insert(Rc::clone(name), entry.key.at.line);
                    kept.push(entry);
                }
                Some(line) => {
                    let message = format!("the key {} is written twice", Quoted(name));
                    self.problem(entry.key.at, message, &format!("it is first on line {line}"));
                }
            }
        }
        kept
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<(), Stop> {
        let Some(Anchored { node, size }) = self.anchors.get(&anchor) else {
            let help = "an alias may only stand after the end of what it repeats";
            return Err(Stop::new(at, "an alias refers to what it is part of".to_owned(), help));
        };
        // Before it is copied: what is too much is never made.
        self.check_depth(self.stack.len() + size.height, at)?;
        self.counts.add(*size, at)?;
        let mut node = node.clone();
        if self.expects_key() {
            if !matches!(node.value, Value::Text(_)) {
                let help = "a key is a name, such as `regions:`";
                return Err(Stop::new(at, "this alias is no name for a key".to_owned(), help));
            }
            node.at = at;
        }
        self.place(node);
        Ok(())
    }

    /// Counts a finished value, keeps it for aliases, and puts it where it belongs.
    fn add(&mut self, value: Value, anchor: usize, at: Position) -> Result<(), Stop> {
        let bytes = if let Value::Text(text) = &value { text.len() as u64 } else { 0 };
        self.counts.add(Size { nodes: 1, bytes, height: 0 }, at)?;
        let node = Node { id: NodeId::ROOT, at, value };
        if anchor != 0 {
            let size = measure(&node);
            self.counts.add(size, at)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), size });
        }
        self.place(node);
        Ok(())
    }

    fn place(&mut self, node: Node) {
        match self.stack.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Map { entries, key }) => match key.take() {
                None => *key = Some(node),
                Some(key) => entries.push(Entry { key, value: node }),
            },
        }
    }

    fn check_depth(&self, depth: usize, at: Position) -> Result<(), Stop> {
        if depth <= CONFIG_DEPTH {
            return Ok(());
        }
        let message = format!("this is nested more than {CONFIG_DEPTH} levels deep");
        Err(Stop::new(at, message, "no configuration needs that; look for an unclosed bracket"))
    }
}

impl Counts {
    fn add(&mut self, size: Size, at: Position) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(size.nodes);
        self.text_bytes = self.text_bytes.saturating_add(size.bytes);
        if self.nodes > CONFIG_NODES {
            let message = format!("the document has more than {CONFIG_NODES} values");
            return Err(Stop::new(at, message, "aliases count as what they stand for"));
        }
        if self.text_bytes > CONFIG_BYTES {
            let message = format!("the document has more than {CONFIG_BYTES} bytes of text");
            let help = "aliases and variables count as what they stand for";
            return Err(Stop::new(at, message, help));
        }
        Ok(())
    }
}

/// Nodes, text and levels of a subtree; its depth is bounded already.
fn measure(node: &Node) -> Size {
    let mut size = Size { nodes: 1, ..Size::default() };
    let mut add = |child: &Node| {
        let part = measure(child);
        size.nodes += part.nodes;
        size.bytes += part.bytes;
        size.height = size.height.max(part.height);
    };
    match &node.value {
        Value::List(items) => {
            items.iter().for_each(&mut add);
            size.height += 1;
        }
        Value::Map(entries) => {
            for entry in entries {
                add(&entry.key);
                add(&entry.value);
            }
            size.height += 1;
        }
        Value::Text(text) => size.bytes = text.len() as u64,
        _ => {}
    }
    size
}

fn position(span: Span) -> Position {
    let length = if span.start.line() == span.end.line() {
        span.end.index().saturating_sub(span.start.index())
    } else {
        1
    };
    let mut at = marker(&span.start);
    at.length = u32::try_from(length).unwrap_or(1).max(1);
    at
}

fn marker(marker: &Marker) -> Position {
    Position {
        line: u32::try_from(marker.line()).unwrap_or(u32::MAX).max(1),
        column: u32::try_from(marker.col()).unwrap_or(u32::MAX - 1).saturating_add(1),
        length: 1,
        variable: None,
    }
}

fn syntax_error(error: &ScanError, text: &str) -> Stop {
    let at = marker(error.marker());
    let line = lines(text).nth(at.line as usize - 1).unwrap_or("");
    let help = if error.info().contains("recursion limit") {
        "no configuration needs brackets nested that deep; look for an unclosed one"
    } else if line.contains("${") && line.contains(['[', '{']) {
        "inside [ ] and { }, put quotes around a variable: \"${NAME}\""
    } else if line.trim_start_matches(' ').starts_with('\t') {
        "indent with spaces, not with tabs"
    } else if at.line as usize >= lines(text).count() {
        "is the file complete? Something opened before its end is not closed"
    } else {
        ""
    };
    Stop::new(at, format!("not valid YAML: {}", error.info()), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<(u32, u32, String)> {
        let env = |name: &str| (name == "A").then(|| "7".to_owned());
        let document = build(text, &env);
        assert!(document.root.is_some() || !document.problems.is_empty());
        document.problems.into_iter().map(|p| (p.at.line, p.at.column, p.message)).collect()
    }

    fn shape(node: &Node) -> String {
        match &node.value {
            Value::List(items) => {
                format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(","))
            }
            Value::Map(entries) => {
                let entries: Vec<_> =
                    entries.iter().map(|e| format!("{}:{}", e.name(), shape(&e.value))).collect();
                format!("{{{}}}", entries.join(","))
            }
            Value::Text(text) => format!("{text:?}"),
            Value::Integer(i) => i.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn builds_the_tree_with_variables_and_aliases() {
        let env = |name: &str| (name == "A").then(|| "7".to_owned());
        for (text, expected) in [
            ("a: ${A}\nb: \"${A}\"\nc: [x, 1]\n", r#"{a:7,b:"7",c:["x",1]}"#),
            ("a: &x {k: [1]}\nb: *x\nc: [*x]\n", "{a:{k:[1]},b:{k:[1]},c:[{k:[1]}]}"),
            ("a: !!str 1\nb: ! 2\nc: !!map {}\n", r#"{a:"1",b:"2",c:{}}"#),
            ("\u{feff}1: no\r\n~: 2\r\n", r#"{1:"no",~:2}"#),
            ("{\"a\": 1, \"b\": [true]}", "{a:1,b:[Bool(true)]}"),
        ] {
            let document = build(text, &env);
            assert!(document.problems.is_empty(), "{text}: {:?}", document.problems);
            assert_eq!(shape(&document.root.unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn says_where_the_text_is_wrong() {
        for (text, line, column, part) in [
            ("", 1, 1, "empty"),
            ("# only a comment\n", 1, 1, "empty"),
            ("a: 1\n---\nb: 2\n", 2, 1, "second document"),
            ("a: 1\nb: 2\na: 3\n", 3, 1, "`a` is written twice"),
            ("a: ${NO}\n", 1, 4, "`NO` is not set"),
            ("a: x${NO}\n", 1, 5, "`NO` is not set"),
            ("a: [1, 2\nb: c\n", 2, 2, "not valid YAML"),
            ("a: 'x\n", 1, 4, "not valid YAML"),
            ("a:\n\tb: 1\n", 2, 2, "not valid YAML"),
            ("<<: {a: 1}\n", 1, 1, "does not merge"),
            ("? [a]\n: b\n", 1, 3, "used as a key"),
            ("a: !foo 1\n", 1, 4, "`!foo` is not supported"),
            ("a: !!int '1'\n", 1, 4, "is not supported"),
            ("a: &x [*x]\n", 1, 8, "part of"),
            ("a: *x\n", 1, 4, "not valid YAML"),
            ("${A}: 1\n", 1, 1, "a key contains a variable"),
            ("a: [${A}]\n", 1, 6, "not valid YAML"),
            ("a: \0\n", 1, 4, "not valid YAML"),
        ] {
            let found = problems(text);
            let [(l, c, message)] = &found[..] else { panic!("{text:?}: {found:?}") };
            assert!(message.contains(part), "{text:?}: {message}");
            assert_eq!((*l, *c), (line, column), "{text:?}: {message}");
        }
    }

    #[test]
    fn several_problems_come_at_once() {
        assert_eq!(problems("a: ${X}\nb: {c: ${Y:-1}\n").len(), 2);
        assert_eq!(problems("a: ${X}\nb: ${Y}\nb: 1\nc: !x 1\n").len(), 4);
    }

    #[test]
    fn what_grows_without_end_is_refused() {
        let laughs = {
            let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
            for i in 1..40 {
                let alias = format!("*a{}", i - 1);
                text.push_str(&format!("a{i}: &a{i} [{}]\n", vec![alias; 10].join(", ")));
            }
            text
        };
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(100));
        let chain = {
            let mut text = "- &a0 [1]\n".to_owned();
            for i in 1..100 {
                text.push_str(&format!("- &a{i} [*a{}]\n", i - 1));
            }
            text
        };
        for (text, part) in [
            (laughs, "more than 4000000 values"),
            (long, "bytes of text"),
            (chain, "levels deep"),
            ("[".repeat(1 << 20), "recursion limit"),
            ("{a: ".repeat(1 << 20), "recursion limit"),
            ("- ".repeat(1 << 20), "levels deep"),
            (format!("a: {}{}", "[".repeat(100), "]".repeat(100)), "levels deep"),
        ] {
            let found = problems(&text);
            assert!(found.iter().any(|(_, _, m)| m.contains(part)), "{part}: {found:?}");
        }
    }
}
