//! Rust text as tokens, without comments; as exact as finding paths needs.

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// An identifier or a keyword; `r#x` is `x`.
    Word(String),
    /// `::`
    Colons,
    /// Any other character; a literal is a single `"`.
    Mark(char),
}

/// The tokens of a source text.
pub fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&next) = chars.get(at) {
        let rest = &chars[at..];
        let (token, length) = if next.is_whitespace() {
            (None, 1)
        } else if rest.starts_with(&['/', '/']) {
            (None, until_line_end(rest))
        } else if rest.starts_with(&['/', '*']) {
            (None, block_comment(rest))
        } else if let Some(length) = literal(rest) {
            (Some(Token::Mark('"')), length)
        } else if is_in_word(next) {
            let from = if rest.starts_with(&['r', '#']) { 2 } else { 0 };
            let length = rest[from..].iter().take_while(|&&one| is_in_word(one));
            let length = from + length.count();
            (
                Some(Token::Word(rest[from..length].iter().collect())),
                length,
            )
        } else if rest.starts_with(&[':', ':']) {
            (Some(Token::Colons), 2)
        } else if next == '\'' {
            (
                None,
                1 + rest[1..].iter().take_while(|&&one| is_in_word(one)).count(),
            )
        } else {
            (Some(Token::Mark(next)), 1)
        };
        tokens.extend(token);
        at += length;
    }
    tokens
}

fn is_in_word(one: char) -> bool {
    one.is_alphanumeric() || one == '_'
}

fn until_line_end(rest: &[char]) -> usize {
    rest.iter().take_while(|&&one| one != '\n').count()
}

/// Block comments nest.
fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(&['/', '*']) {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(&['*', '/']) {
            depth -= 1;
            at += 2;
        } else {
            at += 1;
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the string or character that the text begins with, if it begins with one.
fn literal(rest: &[char]) -> Option<usize> {
    let prefix = rest
        .iter()
        .take_while(|one| matches!(one, 'b' | 'c' | 'r'))
        .count();
    let prefix = if prefix > 2 { 0 } else { prefix };
    let hashes = rest[prefix..].iter().take_while(|&&one| one == '#').count();
    let is_raw = rest[..prefix].contains(&'r');
    let opened = prefix + if is_raw { hashes } else { 0 };
    if rest.get(opened) == Some(&'"') {
        let mut at = opened + 1;
        while at < rest.len() {
            if is_raw {
                let closing = &rest[at + 1..];
                if rest[at] == '"' && closing.iter().take(hashes).all(|&one| one == '#') {
                    return Some(at + 1 + hashes);
                }
                at += 1;
            } else {
                match rest[at] {
                    '\\' => at += 2,
                    '"' => return Some(at + 1),
                    _ => at += 1,
                }
            }
        }
        return Some(rest.len());
    }
    // `'a'` and `b'\n'`, and not the lifetime `'a`.
    if !is_raw && rest.get(prefix) == Some(&'\'') {
        if rest.get(prefix + 1) == Some(&'\\') {
            let end = rest[prefix + 3..].iter().position(|&one| one == '\'')?;
            return Some(prefix + 4 + end);
        }
        if rest.get(prefix + 2) == Some(&'\'') {
            return Some(prefix + 3);
        }
    }
    None
}

#[test]
fn comments_literals_and_lifetimes_hide_nothing_and_show_nothing() {
    let text = r##"
        // use crate::a;
        /* use crate::b; /* nested */ use crate::c; */
        fn f<'a>(x: &'a str) -> char { g("crate::d \" x"); r#"crate::e " "#; b'\''; '"'; 'x' }
        r#use ::y
    "##;
    let words: Vec<String> = tokens(text)
        .into_iter()
        .filter_map(|token| match token {
            Token::Word(word) => Some(word),
            Token::Colons | Token::Mark(_) => None,
        })
        .collect();
    assert_eq!(words, ["fn", "f", "x", "str", "char", "g", "use", "y"]);
}
