//! P4_16 compiler for v1model: from source text to bmv2 JSON and P4Info.
//!
//! ```text
//! text ─► lexer ─► preprocessor ─► parser ─► ast ─► check ─► hir ─► elaborate ─┬─► lower ─► bmv2 JSON
//!                                                                              └─► p4info
//! ```
//!
//! Whatever of the language is not supported is refused with a place and a stable code. The
//! compiler never panics on any input and bounds its depth, its memory and its time.

mod ast;
mod check;
mod diagnostics;
mod elaborate;
mod hir;
mod lexer;
mod library;
mod lower;
mod p4info;
mod parser;
mod preprocessor;
mod source;
mod types;

use flownic_pipeline::{bmv2, p4info::P4Info};

pub use diagnostics::{Code, Diagnostic, Diagnostics, Severity};
pub use source::{FileId, SourceSet, Span};

/// Stack for one compilation: recursion is bounded, but its frames are large without optimisation.
const STACK_BYTES: usize = 256 << 20;

/// How to compile.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Macros: name, and text (`1` when absent).
    pub definitions: Vec<(String, Option<String>)>,
    /// Macros that are not defined, applied after `definitions`.
    pub undefined: Vec<String>,
}

/// What a program becomes.
#[derive(Debug, Clone)]
pub struct Output {
    /// The program for `simple_switch` and for the software NIC.
    pub program: bmv2::Program,
    /// What its control plane may know.
    pub p4info: P4Info,
    /// Warnings.
    pub diagnostics: Diagnostics,
}

/// Compiles a program.
///
/// # Errors
/// With at least one error among the diagnostics when the program is wrong, uses what is not
/// supported, or cannot be read.
pub fn compile(sources: &SourceSet, options: &Options) -> Result<Output, Diagnostics> {
    on_large_stack(|| compile_here(sources, options))
}

/// The program after preprocessing, as text.
///
/// # Errors
/// As [`compile`], from the preprocessor only.
pub fn preprocess(sources: &SourceSet, options: &Options) -> Result<String, Diagnostics> {
    on_large_stack(|| {
        let mut messages = Diagnostics::default();
        let tokens = run_preprocessor(sources, options, &mut messages);
        if messages.has_errors() {
            return Err(messages);
        }
        Ok(preprocessor::text(&tokens))
    })
}

/// Runs `work` on a thread whose stack holds the deepest program that the bounds allow.
fn on_large_stack<T: Send>(
    work: impl FnOnce() -> Result<T, Diagnostics> + Send,
) -> Result<T, Diagnostics> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("p4c".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work);
        match thread {
            // A panic would be a defect of the compiler; it goes on in the caller.
            Ok(thread) => thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => {
                let mut messages = Diagnostics::default();
                let message = format!("cannot start a thread: {error}");
                messages.error(Code::Limit, Span::default(), message);
                Err(messages)
            }
        }
    })
}

fn run_preprocessor(
    sources: &SourceSet,
    options: &Options,
    messages: &mut Diagnostics,
) -> Vec<lexer::Token> {
    preprocessor::run(sources, &options.definitions, &options.undefined, messages)
}

fn compile_here(sources: &SourceSet, options: &Options) -> Result<Output, Diagnostics> {
    let mut messages = Diagnostics::default();
    let tokens = run_preprocessor(sources, options, &mut messages);
    if messages.has_errors() {
        return Err(messages);
    }
    let tree = parser::run(&tokens, &mut messages);
    if messages.has_errors() {
        return Err(messages);
    }
    let checked = check::run(&tree, &mut messages);
    if messages.has_errors() {
        return Err(messages);
    }
    let design = elaborate::run(&checked, &mut messages);
    if messages.has_errors() {
        return Err(messages);
    }
    let source = sources.main().display().to_string();
    let program = lower::run(&checked, &design, &source, &mut messages);
    let p4info = p4info::run(&checked, &design, &mut messages);
    if messages.has_errors() {
        return Err(messages);
    }
    Ok(Output {
        program,
        p4info,
        diagnostics: messages,
    })
}
