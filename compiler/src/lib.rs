//! P4_16 compiler to bmv2 JSON and P4Info.
mod ast;
mod check;
mod hir;
mod types;
mod diagnostics;
mod lexer;
mod library;
mod parser;
mod preprocessor;
mod source;
pub fn try_parse(p: &str) -> (usize, String) {
    let s = source::SourceSet::from_path(p, vec![]);
    let mut m = diagnostics::Diagnostics::default();
    let t = preprocessor::run(&s, &[], &[], &mut m);
    let d = parser::run(&t, &mut m);
    if m.has_errors() { return (0, m.render()); }
    let h = check::run(&d, &mut m);
    (d.len()+h.tables.len(), m.render())
}
#[test]
fn x() { let (n, t) = try_parse("/work/main/p4/flownic.p4"); println!("{n}\n{t}"); assert!(t.is_empty()); }
