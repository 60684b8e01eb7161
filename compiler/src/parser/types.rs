//! Types.

use super::{Failed, Parsed, Parser};
use crate::ast::{Expr, Ident, Type, TypeKind};
use crate::lexer::Token;

impl Parser<'_> {
    /// Whether a token begins a type for sure.
    pub(super) fn is_base_type(token: &Token) -> bool {
        const BASE: &[&str] = &[
            "bool",
            "error",
            "match_kind",
            "void",
            "string",
            "int",
            "bit",
            "varbit",
            "tuple",
        ];
        token.kind == crate::lexer::Kind::Name && BASE.contains(&&*token.text)
    }

    pub(super) fn is_type_name(&self, token: &Token) -> bool {
        Self::is_name(token) && self.types.contains(&token.text)
    }

    pub(super) fn ty(&mut self) -> Parsed<Type> {
        self.deeper(|parser| {
            let start = parser.token().span;
            let mut ty = parser.simple_type()?;
            while parser.is("[") {
                parser.advance();
                let size = parser.expr()?;
                parser.expect("]")?;
                ty = Type {
                    kind: TypeKind::Stack(Box::new(ty), Box::new(size)),
                    span: parser.since(start),
                };
            }
            Ok(ty)
        })
    }

    fn simple_type(&mut self) -> Parsed<Type> {
        let start = self.token().span;
        let kind = match &*self.token().text {
            _ if self.at_name() => self.named_type()?,
            "bool" => self.plain(TypeKind::Bool),
            "error" => self.plain(TypeKind::Error),
            "match_kind" => self.plain(TypeKind::MatchKind),
            "void" => self.plain(TypeKind::Void),
            "string" => self.plain(TypeKind::Text),
            "_" => self.plain(TypeKind::Any),
            "bit" => {
                self.advance();
                TypeKind::Bit(self.width()?.map(Box::new))
            }
            "int" => {
                self.advance();
                let width = self.width()?;
                width.map_or(TypeKind::Integer, |w| TypeKind::Signed(Box::new(w)))
            }
            "varbit" => {
                self.advance();
                let Some(width) = self.width()? else {
                    return self.fail("`<`");
                };
                TypeKind::Varbit(Box::new(width))
            }
            "tuple" => {
                self.advance();
                TypeKind::Tuple(self.type_arguments()?)
            }
            _ => return self.fail("a type"),
        };
        Ok(Type {
            kind,
            span: self.since(start),
        })
    }

    fn plain(&mut self, kind: TypeKind) -> TypeKind {
        self.advance();
        kind
    }

    fn named_type(&mut self) -> Parsed<TypeKind> {
        let name = self.ident()?;
        if !self.is("<") {
            return Ok(TypeKind::Named(name, Vec::new()));
        }
        let arguments = self.type_arguments()?;
        if &*name.name == "list" && arguments.len() == 1 && !self.types.contains(&name.name) {
            return Ok(TypeKind::List);
        }
        Ok(TypeKind::Named(name, arguments))
    }

    /// `<8>`, `<(W + 1)>`.
    fn width(&mut self) -> Parsed<Option<Expr>> {
        if !self.accept("<") {
            return Ok(None);
        }
        let width = self.width_expr()?;
        self.expect(">")?;
        Ok(Some(width))
    }

    pub(super) fn type_arguments(&mut self) -> Parsed<Vec<Type>> {
        self.expect("<")?;
        self.list(">", Self::ty)
    }

    /// `<T, U>` of a declaration; the names are types from here on.
    pub(super) fn type_parameters(&mut self) -> Parsed<Vec<Ident>> {
        if !self.accept("<") {
            return Ok(Vec::new());
        }
        let names = self.list(">", Self::ident)?;
        for name in &names {
            self.types.insert(name.name.clone());
        }
        if names.is_empty() {
            return self.fail("a type parameter").map_err(|_: Failed| Failed);
        }
        Ok(names)
    }
}
