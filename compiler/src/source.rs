//! Source texts and places in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Number of a file among those that one compilation read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileId(pub(crate) u32);

/// A piece of a file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// Byte after the last one.
    pub end: u32,
}

impl Span {
    /// From the beginning of `self` to the end of `other`; `self` when they are in different
    /// files, as pieces of macros may be.
    pub(crate) fn to(self, other: Span) -> Span {
        if self.file == other.file && other.end >= self.start {
            Span {
                end: other.end,
                ..self
            }
        } else {
            self
        }
    }
}

/// What to compile: a main file, and where includes are found.
#[derive(Debug, Clone, Default)]
pub struct SourceSet {
    main: PathBuf,
    texts: BTreeMap<PathBuf, String>,
    include_dirs: Vec<PathBuf>,
    disk: bool,
}

impl SourceSet {
    /// A program on disk; `include_dirs` are searched for `<…>` and, after the folder of the
    /// including file, for `"…"`.
    pub fn from_path(main: impl Into<PathBuf>, include_dirs: Vec<PathBuf>) -> SourceSet {
        SourceSet {
            main: main.into(),
            texts: BTreeMap::new(),
            include_dirs,
            disk: true,
        }
    }

    /// A program in memory; nothing is read from disk.
    pub fn from_text(name: impl Into<PathBuf>, text: impl Into<String>) -> SourceSet {
        let main = name.into();
        SourceSet {
            texts: BTreeMap::from([(main.clone(), text.into())]),
            main,
            include_dirs: Vec::new(),
            disk: false,
        }
    }

    /// Adds a file in memory, which hides one of the same path on disk.
    pub fn add(&mut self, path: impl Into<PathBuf>, text: impl Into<String>) {
        self.texts.insert(path.into(), text.into());
    }

    /// Path of the main file.
    pub fn main(&self) -> &Path {
        &self.main
    }

    /// Path and text of an included file.
    pub(crate) fn find(&self, includer: &Path, name: &str, angled: bool) -> Option<Loaded> {
        let here = includer.parent().map(|folder| folder.join(name));
        let here = here.into_iter().filter(|_| !angled);
        let dirs = self.include_dirs.iter().map(|dir| dir.join(name));
        let on_path = here.chain(dirs).find_map(|path| self.read(&path).ok());
        on_path.or_else(|| {
            let text = crate::library::find(name)?;
            Some((PathBuf::from(name), text.to_owned()))
        })
    }

    /// Text of a file.
    pub(crate) fn read(&self, path: &Path) -> std::io::Result<Loaded> {
        if let Some(text) = self.texts.get(path) {
            return Ok((path.to_owned(), text.clone()));
        }
        if !self.disk {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        let bytes = std::fs::read(path)?;
        // A program is ASCII outside of comments and strings; anything else is shown as it can.
        Ok((
            path.to_owned(),
            String::from_utf8_lossy(&bytes).into_owned(),
        ))
    }
}

/// Path and text.
pub(crate) type Loaded = (PathBuf, String);

/// A file that was read.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Path as given or as found.
    pub(crate) path: PathBuf,
    /// Its text.
    pub(crate) text: Arc<str>,
    line_starts: Vec<u32>,
}

/// All files that one compilation read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    files: Vec<File>,
}

impl Files {
    pub(crate) fn add(&mut self, (path, text): Loaded) -> FileId {
        let starts = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        let line_starts = std::iter::once(0)
            .chain(starts.map(|(at, _)| at as u32 + 1))
            .collect();
        self.files.push(File {
            path,
            text: text.into(),
            line_starts,
        });
        FileId(self.files.len() as u32 - 1)
    }

    pub(crate) fn get(&self, id: FileId) -> Option<&File> {
        self.files.get(id.0 as usize)
    }

    /// Line and column of the beginning of a span, both from 1; columns count bytes.
    pub(crate) fn position(&self, span: Span) -> (u32, u32) {
        let Some(file) = self.get(span.file) else {
            return (1, 1);
        };
        let line = file
            .line_starts
            .partition_point(|&s| s <= span.start)
            .max(1);
        (line as u32, span.start - file.line_starts[line - 1] + 1)
    }

    /// Name of a file.
    pub(crate) fn name(&self, id: FileId) -> String {
        let path = self.get(id).map(|file| file.path.display().to_string());
        path.unwrap_or_else(|| "<nowhere>".to_owned())
    }

    /// Source text of a span.
    pub(crate) fn text(&self, span: Span) -> &str {
        let file = self.get(span.file);
        let piece = file.and_then(|f| f.text.get(span.start as usize..span.end as usize));
        piece.unwrap_or_default()
    }
}

impl<'a> codespan_reporting::files::Files<'a> for Files {
    type FileId = FileId;
    type Name = String;
    type Source = &'a str;

    fn name(&'a self, id: FileId) -> Result<String, codespan_reporting::files::Error> {
        Ok(Files::name(self, id))
    }

    fn source(&'a self, id: FileId) -> Result<&'a str, codespan_reporting::files::Error> {
        let file = self.get(id);
        file.map(|f| &*f.text)
            .ok_or(codespan_reporting::files::Error::FileMissing)
    }

    fn line_index(
        &'a self,
        id: FileId,
        byte: usize,
    ) -> Result<usize, codespan_reporting::files::Error> {
        let file = self.get(id);
        let file = file.ok_or(codespan_reporting::files::Error::FileMissing)?;
        let line = file.line_starts.partition_point(|&s| s as usize <= byte);
        Ok(line.saturating_sub(1))
    }

    fn line_range(
        &'a self,
        id: FileId,
        line: usize,
    ) -> Result<std::ops::Range<usize>, codespan_reporting::files::Error> {
        let file = self.get(id);
        let file = file.ok_or(codespan_reporting::files::Error::FileMissing)?;
        let start = file.line_starts.get(line).copied();
        let Some(start) = start else {
            return Err(codespan_reporting::files::Error::LineTooLarge {
                given: line,
                max: file.line_starts.len(),
            });
        };
        let next = file.line_starts.get(line + 1).map(|&next| next as usize);
        Ok(start as usize..next.unwrap_or(file.text.len()))
    }
}
