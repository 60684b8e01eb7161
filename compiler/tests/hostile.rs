//! Broken and hostile programs: never a panic, never without an end. R6.6

mod support;

use std::time::{Duration, Instant};

use flownic_compiler::{Options, SourceSet, compile, preprocess};
use support::{path, programs};

/// The firmware in one text.
fn firmware() -> String {
    let sources = SourceSet::from_path(path("../p4/flownic.p4"), Vec::new());
    preprocess(&sources, &Options::default()).unwrap()
}

fn run(text: &str) -> bool {
    let sources = SourceSet::from_text("hostile.p4", text);
    match compile(&sources, &Options::default()) {
        Ok(_) => true,
        Err(messages) => {
            assert!(messages.has_errors());
            assert!(!messages.render().is_empty());
            false
        }
    }
}

/// A small generator of numbers, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

#[test]
fn the_firmware_in_one_text_compiles() {
    assert!(run(&firmware()));
}

#[test]
fn truncated_programs_end_with_messages() {
    let mut texts = vec![firmware()];
    texts.extend(
        programs("tests/ok")
            .iter()
            .map(|f| std::fs::read_to_string(f).unwrap()),
    );
    let mut random = Random(0x9e37_79b9);
    for text in &texts {
        for _ in 0..40 {
            let mut end = random.below(text.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            run(&text[..end]);
        }
    }
}

/// Words are taken out, doubled, exchanged and replaced.
#[test]
fn mutated_programs_end_with_messages() {
    let mut texts = vec![firmware()];
    texts.extend(
        programs("tests/ok")
            .iter()
            .map(|f| std::fs::read_to_string(f).unwrap()),
    );
    texts.extend(
        programs("tests/err")
            .iter()
            .map(|f| std::fs::read_to_string(f).unwrap()),
    );
    let strange = [
        "(",
        ")",
        "{",
        "}",
        "<",
        ">",
        "bit<0>",
        "bit<99999999999>",
        "0w0",
        "1w2",
        "-1",
        "8s300",
        "1 << 4000000000",
        "error",
        "default",
        "...",
        "&&&",
        "..",
        "@",
        "#",
        "\"",
        "state",
        "apply",
        "table",
        "true",
        "varbit<8>",
        "x.x.x",
        "[0]",
        "[3:1]",
        "transition reject;",
        "_",
        "int",
        "/* ",
        "exit;",
        "return;",
        "this",
        "\\",
        "é",
    ];
    let mut random = Random(0x2545_f491);
    for text in &texts {
        let words: Vec<&str> = text
            .split_inclusive([' ', '\n', ';', '(', ')', ','])
            .collect();
        for _ in 0..150 {
            let mut changed: Vec<&str> = words.clone();
            for _ in 0..=random.below(3) {
                let (a, b) = (random.below(changed.len()), random.below(changed.len()));
                match random.below(4) {
                    0 => drop(changed.remove(a)),
                    1 => changed.insert(a, words[random.below(words.len())]),
                    2 => changed.swap(a, b),
                    _ => changed[a] = strange[random.below(strange.len())],
                }
            }
            run(&changed.concat());
        }
    }
}

#[test]
fn deep_nesting_and_bombs_end_soon() {
    let deep = |open: &str, close: &str| {
        let n = 20_000;
        format!("const bit<8> X = {}1{};", open.repeat(n), close.repeat(n))
    };
    let doubling: String = (0..60)
        .map(|i| format!("#define M{} M{i} M{i}\n", i + 1))
        .collect();
    let texts = [
        deep("(", ")"),
        deep("{", "}"),
        deep("~", ""),
        deep("a[", "]"),
        deep("a<", ">"),
        deep("a<b,", ">"),
        deep("(bit<8>)", ""),
        deep("1 + ", ""),
        deep("true ? 1 : ", ""),
        "a<".repeat(5_000),
        "bit<(".repeat(5_000),
        format!("control c() {{ apply {} }}", "{".repeat(20_000)),
        format!(
            "control c() {{ apply {{ {} }} }}",
            "if (true) ".repeat(20_000)
        ),
        format!("{doubling}M60"),
        format!("#define F(x) x x\n{}", "F(".repeat(3_000)),
        format!("#define F(x) x x\n{}1{}", "F(".repeat(40), ")".repeat(40)),
        "#if ".to_owned() + &"(".repeat(50_000),
        "#if 1\n".repeat(50_000),
        "const int X = 1 << 4000; const int Y = X * X * X * X * X * X * X * X;".to_owned()
            + &"const int Z = Y * Y * Y * Y * Y * Y * Y * Y;".repeat(20),
        format!("const bit<64> X = {};", "9".repeat(100_000)),
        "typedef bit<8> t; ".to_owned() + &"typedef tuple<t, t> t;".repeat(3_000),
    ];
    for text in texts {
        let start = Instant::now();
        run(&text);
        let head: String = text.chars().take(40).collect();
        assert!(start.elapsed() < Duration::from_secs(20), "slow: {head}");
    }
}

#[test]
fn an_include_of_itself_ends() {
    let sources = SourceSet::from_text("a.p4", "#include \"a.p4\"\n");
    let messages = compile(&sources, &Options::default()).unwrap_err();
    assert!(messages.render().contains("E0002"), "{}", messages.render());
}
