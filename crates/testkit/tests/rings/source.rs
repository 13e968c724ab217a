//! What one source file declares, imports and mentions, module by module.

use std::collections::BTreeSet;

use crate::tokens::{Token, tokens};

/// A module: a whole file, or `mod name { … }` within one.
#[derive(Debug, Default)]
pub struct Module {
    /// Modules with a file of their own: `mod name;`.
    pub files: Vec<String>,
    /// Modules within this file.
    pub inline: Vec<(String, Module)>,
    /// `use` declarations, one for each name that they bring.
    pub uses: Vec<Use>,
    /// Items that are defined here.
    pub items: BTreeSet<String>,
    /// Paths that are written out in code, and single names, outside `use`.
    pub mentions: BTreeSet<Vec<String>>,
}

/// One name that a `use` brings.
#[derive(Debug, PartialEq, Eq)]
pub struct Use {
    pub path: Vec<String>,
    /// What it is called here; `*` for everything.
    pub name: String,
    pub is_public: bool,
}

/// Reads a file; code that is only there for tests is left out.
pub fn read(text: &str) -> Module {
    let mut reader = Reader {
        tokens: tokens(text),
        at: 0,
    };
    reader.module()
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
}

const ITEMS: [&str; 9] = [
    "fn",
    "struct",
    "enum",
    "trait",
    "type",
    "const",
    "static",
    "union",
    "macro_rules",
];

impl Reader {
    /// Up to the end of the file, or to the brace that closes the module.
    fn module(&mut self) -> Module {
        let mut module = Module::default();
        let (mut depth, mut is_public) = (0_usize, false);
        while let Some(token) = self.next() {
            match token {
                Token::Mark('{') => depth += 1,
                Token::Mark('}') if depth == 0 => return module,
                Token::Mark('}') => depth -= 1,
                Token::Mark('#') => self.attribute(),
                Token::Word(word) => match word.as_str() {
                    "pub" => {
                        if self.peek() == Some(&Token::Mark('(')) {
                            self.skip_group('(', ')');
                        }
                        is_public = true;
                        continue;
                    }
                    "mod" => self.child(&mut module),
                    // `use<'a>` in a bound is no import.
                    "use" if self.peek() != Some(&Token::Mark('<')) => {
                        self.use_tree(&[], &mut module.uses, is_public);
                    }
                    _ => {
                        if depth == 0
                            && ITEMS.contains(&word.as_str())
                            && let Some(Token::Word(name)) = self.peek_item_name()
                        {
                            module.items.insert(name);
                        }
                        let path = self.path(word);
                        module.mentions.insert(path);
                    }
                },
                Token::Colons | Token::Mark(_) => {}
            }
            is_public = false;
        }
        module
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    /// Past `mut` of a static and `!` of a macro.
    fn peek_item_name(&self) -> Option<Token> {
        let passed = |token: &&Token| {
            **token != Token::Mark('!') && **token != Token::Word("mut".to_owned())
        };
        self.tokens[self.at..].iter().find(passed).cloned()
    }

    /// Skips an attribute, and the item behind it if that is only there for tests.
    fn attribute(&mut self) {
        if self.peek() == Some(&Token::Mark('!')) {
            self.at += 1;
        }
        let from = self.at;
        self.skip_group('[', ']');
        let has = |word: &str| self.tokens[from..self.at].contains(&Token::Word(word.to_owned()));
        if has("cfg") && has("test") && !has("not") {
            self.skip_item();
        }
    }

    /// Skips from an opening mark to the one that closes it.
    fn skip_group(&mut self, opens: char, closes: char) {
        let mut depth = 0_usize;
        while let Some(token) = self.next() {
            if token == Token::Mark(opens) {
                depth += 1;
            } else if token == Token::Mark(closes) {
                depth -= 1;
                if depth == 0 {
                    return;
                }
            }
        }
    }

    /// Skips to the `;` or past the braces that end an item.
    fn skip_item(&mut self) {
        while let Some(token) = self.peek() {
            match token {
                Token::Mark('{') => return self.skip_group('{', '}'),
                Token::Mark('[') => self.skip_group('[', ']'),
                Token::Mark('(') => self.skip_group('(', ')'),
                Token::Mark(';') => {
                    self.at += 1;
                    return;
                }
                Token::Word(_) | Token::Colons | Token::Mark(_) => self.at += 1,
            }
        }
    }

    fn child(&mut self, module: &mut Module) {
        let Some(Token::Word(name)) = self.next() else {
            return;
        };
        match self.next() {
            Some(Token::Mark('{')) => {
                let child = self.module();
                module.inline.push((name, child));
            }
            _ => module.files.push(name),
        }
    }

    /// One branch of a `use`, up to the mark that ends it, which stays.
    fn use_tree(&mut self, before: &[String], uses: &mut Vec<Use>, is_public: bool) {
        let mut path = before.to_vec();
        let mut name = None;
        while let Some(token) = self.peek().cloned() {
            match token {
                Token::Mark(',' | '}' | ';') => break,
                Token::Mark('{') => {
                    self.at += 1;
                    return self.use_group(&path, uses, is_public);
                }
                Token::Mark('*') => name = Some("*".to_owned()),
                Token::Word(word) if word == "as" => {
                    self.at += 1;
                    if let Some(Token::Word(word)) = self.peek() {
                        name = Some(word.clone());
                    }
                }
                // `a::{self, B}` brings `a`.
                Token::Word(word) if word == "self" && !path.is_empty() => {}
                Token::Word(word) => path.push(word),
                Token::Colons | Token::Mark(_) => {}
            }
            self.at += 1;
        }
        if let Some(last) = path.last().cloned() {
            uses.push(Use {
                name: name.unwrap_or(last),
                path,
                is_public,
            });
        }
    }

    /// The branches of a `use` up to the brace that closes them.
    fn use_group(&mut self, before: &[String], uses: &mut Vec<Use>, is_public: bool) {
        while let Some(token) = self.peek() {
            match token {
                Token::Mark('}') => {
                    self.at += 1;
                    return;
                }
                Token::Mark(',') => self.at += 1,
                _ => self.use_tree(before, uses, is_public),
            }
        }
    }

    /// The path that begins with this word, up to its first generic argument.
    fn path(&mut self, first: String) -> Vec<String> {
        let mut path = vec![first];
        while self.peek() == Some(&Token::Colons) {
            let Some(Token::Word(word)) = self.tokens.get(self.at + 1) else {
                break;
            };
            path.push(word.clone());
            self.at += 2;
        }
        path
    }
}

#[test]
fn a_use_is_read_to_its_last_branch() {
    let module = read(
        "pub(crate) use crate::a::{self, b::{C, d as e}, f::*,}; use super::G;
         #[cfg(test)] use crate::left_out; fn h(x: i::J) -> crate::k::L<m::N> {}
         mod o { use self::p::Q; } mod r; #[cfg(test)] mod tests { use super::*; }",
    );
    let uses: Vec<String> = module
        .uses
        .iter()
        .map(|one| format!("{} {} {}", one.path.join("::"), one.name, one.is_public))
        .collect();
    let expected = [
        "crate::a a true",
        "crate::a::b::C C true",
        "crate::a::b::d e true",
        "crate::a::f * true",
        "super::G G false",
    ];
    assert_eq!(uses, expected);
    let mentions: Vec<String> = module.mentions.iter().map(|path| path.join("::")).collect();
    for path in ["i::J", "crate::k::L", "m::N"] {
        assert!(mentions.contains(&path.to_owned()), "{path}: {mentions:?}");
    }
    assert_eq!(module.files, ["r"]);
    assert_eq!(module.inline.len(), 1, "{:?}", module.inline);
    assert!(module.items.contains("h"));
}
