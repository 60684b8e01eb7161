//! Reading and writing the file.

use super::Program;

/// Nesting of arrays and objects that a file may have. Expressions of generated programs nest
/// deeply; a bound is still needed, because reading them is recursive.
const MAX_DEPTH: usize = 1000;
/// Stack for reading a file of that depth, in an unoptimised build.
const STACK_BYTES: usize = 256 << 20;

/// Why a file is no bmv2 JSON.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Not of this format.
    #[error("not a bmv2 JSON program: {0}")]
    Format(#[from] serde_json::Error),
    /// Too deeply nested.
    #[error("not a bmv2 JSON program: nested more than {MAX_DEPTH} deep at byte {0}")]
    TooDeep(usize),
    /// Another major version of the format.
    #[error("format version {0}.{1} of the bmv2 JSON program is not known; 2.x is expected")]
    Version(u32, u32),
    /// No thread to read it in.
    #[error("cannot read the bmv2 JSON program: {0}")]
    Thread(#[from] std::io::Error),
}

impl Program {
    /// Reads a program.
    ///
    /// # Errors
    /// When the text is no JSON, lacks a part, has a part of the wrong kind, or is of another
    /// major version.
    pub fn from_json(text: &[u8]) -> Result<Program, LoadError> {
        if let Some(at) = too_deep(text) {
            return Err(LoadError::TooDeep(at));
        }
        let program = std::thread::scope(|scope| -> Result<Program, LoadError> {
            let reader = std::thread::Builder::new()
                .name("bmv2-json".to_owned())
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, || read(text))?;
            // A panic of the reader would be a defect of this crate; it goes on in the caller.
            reader
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        match program.meta.version {
            [2, _] => Ok(program),
            [major, minor] => Err(LoadError::Version(major, minor)),
        }
    }

    /// The program as indented text.
    pub fn to_json(&self) -> String {
        // Writing to memory cannot fail, and all keys are strings.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

fn read(text: &[u8]) -> Result<Program, LoadError> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    reader.disable_recursion_limit();
    let program = serde::Deserialize::deserialize(&mut reader)?;
    reader.end()?;
    Ok(program)
}

/// Byte position at which the text is nested too deeply.
fn too_deep(text: &[u8]) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for (at, &byte) in text.iter().enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Some(at);
        }
    }
    None
}
