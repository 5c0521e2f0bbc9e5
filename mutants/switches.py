"""Writes every mutant of a file into it at once, each behind a switch, so that one build serves all of them.

cargo-mutants names the mutants. Each becomes a branch `crate::__mutant(ID)`, which is false unless the process was started
with MUTANT=ID. With MUTANT_TRACE=FILE, a process notes there which switches it passes.
"""

import tree_sitter
import tree_sitter_rust

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))

SWITCH = """
#[doc(hidden)]
pub fn __mutant(id: usize) -> bool {
    use std::{env, fs, io::Write, sync::{OnceLock, atomic::{AtomicBool, Ordering}}};
    // Some tests start programs with an environment of their own. Those ask the environments of their parents.
    fn setting(name: &str) -> Option<String> {
        let mut pid = std::process::id();
        let mut own = env::var(name).ok();
        while own.is_none() && pid > 1 {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            pid = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
            let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
            let environ = String::from_utf8_lossy(&environ);
            own = environ.split('\\0').find_map(|entry| entry.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
        }
        own
    }
    static ON: OnceLock<(usize, Option<fs::File>)> = OnceLock::new();
    static PASSED: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];
    let (on, trace) = ON.get_or_init(|| {
        let trace = setting("MUTANT_TRACE").and_then(|path| fs::File::options().append(true).create(true).open(path).ok());
        (setting("MUTANT").and_then(|id| id.parse().ok()).unwrap_or(usize::MAX), trace)
    });
    if let Some(mut trace) = trace.as_ref() {
        if !PASSED[id].swap(true, Ordering::Relaxed) {
            let _ = trace.write_all(format!("{id}\\n").as_bytes());
        }
    }
    *on == id
}
"""


def switch(count):
    return SWITCH.replace("COUNT", str(count)).encode()


class Source:
    """One file and its mutants, each a dictionary of cargo-mutants with an "id"."""

    def __init__(self, text, mutants):
        self.text = text
        self.lines = text.split(b"\n")
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        # What is switched, by the start and the type of its node.
        self.at = {}
        self.refused = []
        root = PARSER.parse(text).root_node
        for mutant in mutants:
            node = self.place(root, mutant)
            if node is None or is_constant(node):
                self.refused.append(mutant)
            else:
                self.at.setdefault((node.start_byte, node.end_byte, node.type), []).append(mutant)
        self.result = self.render(root)

    def offset(self, point):
        line = self.lines[point["line"] - 1].decode()
        return self.starts[point["line"] - 1] + len(line[: point["column"] - 1].encode())

    def place(self, root, mutant):
        """The node that a mutant changes."""
        start, end = self.offset(mutant["span"]["start"]), self.offset(mutant["span"]["end"])
        genre = mutant["genre"]
        if genre == "FnValue":
            if "impl " in (mutant["function"]["return_type"] or ""):
                return None
            wanted = {"function_item"}
        else:
            wanted = {
                "BinaryOperator": {"binary_expression", "compound_assignment_expr"},
                "UnaryOperator": {"unary_expression"},
                "MatchArm": {"match_arm"},
                "MatchArmGuard": {"match_arm"},
                "StructField": {"struct_expression"},
            }.get(genre, set())
        node = root.descendant_for_byte_range(start, max(start, end - 1))
        while node is not None and node.type not in wanted:
            node = node.parent
        return node

    def render(self, node):
        mutants = self.at.get((node.start_byte, node.end_byte, node.type), [])
        if node.type == "match_arm" and mutants:
            return self.arm(node, mutants)
        out, last = b"", node.start_byte
        for child in node.children:
            out += self.text[last : child.start_byte]
            last = child.end_byte
            rendered = self.render(child)
            if child.type == "block" and node.type == "function_item" and mutants:
                rendered = b"{" + b"".join(branch(m, b"return " + m["replacement"].encode() + b";") for m in mutants) + rendered[1:]
            out += rendered
        out += self.text[last : node.end_byte]
        if not mutants or node.type == "function_item":
            return out
        return self.expression(node, mutants, out)

    def expression(self, node, mutants, original):
        text = b"("
        for mutant in mutants:
            text += branch(mutant, self.changed(node, mutant)) + b" else "
        return text + b"{ " + original + b" })"

    def changed(self, node, mutant):
        if mutant["genre"] == "UnaryOperator":
            return self.render(node.children[1])
        if mutant["genre"] == "StructField":
            start, end = self.offset(mutant["span"]["start"]), self.offset(mutant["span"]["end"])
            rest = self.text[end : node.end_byte]
            return self.text[node.start_byte : start] + rest.lstrip().removeprefix(b",")
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        return self.render(left) + b" " + mutant["replacement"].encode() + b" " + self.render(right)

    def arm(self, node, mutants):
        pattern = node.child_by_field_name("pattern")
        guard = pattern.child_by_field_name("condition")
        condition = b"true" if guard is None else self.render(guard)
        for mutant in mutants:
            value = b"false" if mutant["genre"] == "MatchArm" else mutant["replacement"].encode()
            condition = b"(" + branch(mutant, value) + b" else { " + condition + b" })"
        # The pattern without its guard.
        keyword = next((child for child in pattern.children if child.type == "if"), None)
        head = self.text[node.start_byte : pattern.end_byte if keyword is None else keyword.start_byte]
        out, last = head + b" if " + condition, pattern.end_byte
        for child in node.children:
            if child.start_byte >= pattern.end_byte:
                out += self.text[last : child.start_byte] + self.render(child)
                last = child.end_byte
        return out + self.text[last : node.end_byte]


def branch(mutant, text):
    number = str(mutant["id"]).encode()
    return b"if crate::__mutant(" + number + b") { /*<" + number + b"*/" + text + b"/*>" + number + b"*/ }"


def is_constant(node):
    """Whether only constants may stand here."""
    while node is not None:
        if node.type in ("const_item", "static_item", "array_type", "enum_variant", "const_block"):
            return True
        if node.type == "function_item":
            for child in node.children:
                if child.type == "function_modifiers" and b"const" in child.text.split():
                    return True
        node = node.parent
    return False
