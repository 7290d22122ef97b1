//! Puts arguments and a case's values in their places: a copy of the tree, before it is decoded.

use super::yaml::{Kind, Node, Pairs, Spanned};

/// Names with what stands for them.
pub type Bindings<'a> = [(&'a str, &'a Node)];

/// The same pairs, with every value substituted.
pub fn pairs_with(pairs: &Pairs<Node>, bindings: &Bindings<'_>) -> Pairs<Node> {
    Pairs(pairs.0.iter().map(|(key, value)| (key.clone(), substitute(value, bindings))).collect())
}

/// The same nodes, each substituted.
pub fn substitute_all(nodes: &[Node], bindings: &Bindings<'_>) -> Vec<Node> {
    nodes.iter().map(|node| substitute(node, bindings)).collect()
}

/// Puts arguments in the place of `$name` and `${name}`: a copy of the tree, before it is decoded, so that an argument
/// may be anything, a pattern or a requirement too.
pub fn substitute(node: &Node, bindings: &Bindings<'_>) -> Node {
    if bindings.is_empty() {
        return node.clone();
    }
    let kind = match &node.kind {
        Kind::Text(text) => {
            let whole = text.strip_prefix('$').and_then(|name| bindings.iter().find(|(key, _)| *key == name));
            if let Some((_, value)) = whole {
                return (*value).clone();
            }
            Kind::Text(splice(text, bindings))
        }
        Kind::List(items) => Kind::List(substitute_all(items, bindings)),
        Kind::Map(pairs) => Kind::Map(
            pairs
                .iter()
                .map(|(key, value)| {
                    let key = Spanned { span: key.span.clone(), value: splice(&key.value, bindings) };
                    (key, substitute(value, bindings))
                })
                .collect(),
        ),
        other => other.clone(),
    };
    Node { span: node.span.clone(), kind }
}

fn splice(text: &str, bindings: &Bindings<'_>) -> String {
    let mut text = text.to_owned();
    for (key, value) in bindings {
        let hole = format!("${{{key}}}");
        if !text.contains(&hole) {
            continue;
        }
        let filling = match &value.kind {
            Kind::Text(inner) => match inner.strip_prefix('$') {
                Some(name) if !name.is_empty() && !name.contains(['$', '{']) => format!("${{{name}}}"),
                _ => inner.clone(),
            },
            Kind::Int(number) => number.to_string(),
            Kind::Bool(value) => value.to_string(),
            _ => continue,
        };
        text = text.replace(&hole, &filling);
    }
    text
}
