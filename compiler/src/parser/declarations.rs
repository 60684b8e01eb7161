//! Declarations.

use super::{Failed, Parsed, Parser};
use crate::ast::{
    ActionDecl, ActionRef, Annotations, ControlDecl, Decl, DeclKind, Direction, EntryDecl,
    FieldDecl, Ident, Instance, KeyElement, Local, Parameter, ParserDecl, Property, PropertyValue,
    RecordKind, Signature, State, TableDecl, Transition, Type, TypeKind,
};

impl Parser<'_> {
    pub(super) fn program(&mut self) -> Vec<Decl> {
        let mut found = Vec::new();
        while !self.at_end() {
            if self.accept(";") {
                continue;
            }
            let before = self.at;
            match self.declaration() {
                Ok(declaration) => found.push(declaration),
                Err(Failed) => {
                    self.recover();
                    if self.at == before || self.is("}") {
                        self.advance();
                    }
                }
            }
        }
        found
    }

    fn declaration(&mut self) -> Parsed<Decl> {
        let start = self.token().span;
        let annotations = self.annotations()?;
        let kind = match &*self.token().text {
            "const" => DeclKind::Const(self.constant()?),
            "typedef" => self.typedef()?,
            "type" if Self::is_name(self.peek(1)) || Self::is_base_type(self.peek(1)) => {
                self.new_type(annotations)?
            }
            "enum" => self.enumeration()?,
            "error" if self.peek(1).is("{") => {
                self.advance();
                DeclKind::Error(self.names()?)
            }
            "match_kind" if self.peek(1).is("{") => {
                self.advance();
                DeclKind::MatchKind(self.names()?)
            }
            "struct" => self.record(RecordKind::Struct, annotations)?,
            "header" => self.record(RecordKind::Header, annotations)?,
            "header_union" => self.record(RecordKind::Union, annotations)?,
            "extern" => self.external(annotations)?,
            "parser" => self.parser(annotations)?,
            "control" => self.control(annotations)?,
            "package" => {
                self.advance();
                let signature = self.signature(annotations)?;
                self.expect(";")?;
                DeclKind::PackageType(signature)
            }
            "action" => DeclKind::Action(self.action(annotations)?),
            _ => self.instance_or_function(annotations)?,
        };
        Ok(Decl {
            kind,
            span: self.since(start),
        })
    }

    /// A name that is a type from here on.
    fn type_name(&mut self) -> Parsed<Ident> {
        let name = self.ident()?;
        self.types.insert(name.name.clone());
        Ok(name)
    }

    fn names(&mut self) -> Parsed<Vec<Ident>> {
        self.expect("{")?;
        self.list("}", Self::ident)
    }

    fn typedef(&mut self) -> Parsed<DeclKind> {
        self.expect("typedef")?;
        self.annotations()?;
        let ty = self.ty()?;
        let name = self.type_name()?;
        self.expect(";")?;
        Ok(DeclKind::Typedef(name, ty))
    }

    fn new_type(&mut self, annotations: Annotations) -> Parsed<DeclKind> {
        self.advance();
        let ty = self.ty()?;
        let name = self.type_name()?;
        self.expect(";")?;
        Ok(DeclKind::NewType(name, ty, annotations))
    }

    fn enumeration(&mut self) -> Parsed<DeclKind> {
        self.expect("enum")?;
        if self.at_name() && self.peek(1).is("{") {
            let name = self.type_name()?;
            return Ok(DeclKind::Enum(name, self.names()?));
        }
        let underlying = self.ty()?;
        let name = self.type_name()?;
        self.expect("{")?;
        let members = self.list("}", |parser| {
            parser.annotations()?;
            let name = parser.ident()?;
            parser.expect("=")?;
            Ok((name, parser.expr()?))
        })?;
        Ok(DeclKind::SerializableEnum(name, underlying, members))
    }

    fn record(&mut self, kind: RecordKind, annotations: Annotations) -> Parsed<DeclKind> {
        self.advance();
        let name = self.type_name()?;
        let parameters = self.type_parameters()?;
        self.expect("{")?;
        let mut fields = Vec::new();
        while !self.accept("}") {
            let annotations = self.annotations()?;
            let ty = self.ty()?;
            let name = self.ident()?;
            self.expect(";")?;
            fields.push(FieldDecl {
                name,
                ty,
                annotations,
            });
        }
        Ok(DeclKind::Record(
            kind,
            name,
            parameters,
            fields,
            annotations,
        ))
    }

    fn external(&mut self, annotations: Annotations) -> Parsed<DeclKind> {
        self.expect("extern")?;
        let is_object = self.at_name() && (self.peek(1).is("{") || self.generic_object());
        if !is_object {
            let signature = self.function_signature(annotations)?;
            self.expect(";")?;
            return Ok(DeclKind::ExternFunction(signature));
        }
        let name = self.type_name()?;
        let parameters = self.type_parameters()?;
        self.expect("{")?;
        let mut methods = Vec::new();
        while !self.accept("}") {
            let annotations = self.annotations()?;
            let is_abstract = self.accept("abstract");
            let constructor = self.is(&name.name) && self.peek(1).is("(");
            let mut method = if constructor {
                self.signature(annotations)?
            } else {
                self.function_signature(annotations)?
            };
            self.expect(";")?;
            method.is_abstract = is_abstract;
            methods.push(method);
        }
        Ok(DeclKind::Extern(name, parameters, methods))
    }

    /// Whether `name<…> {` follows.
    fn generic_object(&self) -> bool {
        if !self.peek(1).is("<") {
            return false;
        }
        let mut ahead = 2;
        while Self::is_name(self.peek(ahead)) || self.peek(ahead).is(",") {
            ahead += 1;
        }
        self.peek(ahead).is(">") && self.peek(ahead + 1).is("{")
    }

    /// `result name<T>(…)`.
    fn function_signature(&mut self, annotations: Annotations) -> Parsed<Signature> {
        // The result may be a type parameter, which is declared after it.
        let result = self.ty()?;
        let mut signature = self.signature(annotations)?;
        signature.result = Some(result);
        Ok(signature)
    }

    /// `name<T>(…)`.
    fn signature(&mut self, annotations: Annotations) -> Parsed<Signature> {
        let name = self.ident()?;
        let type_parameters = self.type_parameters()?;
        let parameters = self.parameters()?;
        Ok(Signature {
            name,
            type_parameters,
            parameters,
            result: None,
            annotations,
            is_abstract: false,
        })
    }

    fn parameters(&mut self) -> Parsed<Vec<Parameter>> {
        self.expect("(")?;
        self.list(")", |parser| {
            let annotations = parser.annotations()?;
            let direction = match &*parser.token().text {
                "in" => Direction::In,
                "out" => Direction::Out,
                "inout" => Direction::InOut,
                _ => Direction::None,
            };
            if direction != Direction::None {
                parser.advance();
            }
            let ty = parser.ty()?;
            let name = parser.ident()?;
            let default = if parser.accept("=") {
                Some(parser.expr()?)
            } else {
                None
            };
            let optional = annotations.iter().any(|a| &*a.name.name == "optional");
            Ok(Parameter {
                name,
                ty,
                direction,
                default,
                optional,
                annotations,
            })
        })
    }

    fn parser(&mut self, annotations: Annotations) -> Parsed<DeclKind> {
        self.expect("parser")?;
        let signature = self.signature(annotations)?;
        self.types.insert(signature.name.name.clone());
        if self.accept(";") {
            return Ok(DeclKind::ParserType(signature));
        }
        let constructor = self.constructor_parameters()?;
        self.expect("{")?;
        let mut locals = Vec::new();
        let mut states = Vec::new();
        while !self.is("}") && !self.at_end() {
            let annotations = self.annotations()?;
            if self.is("state") {
                states.push(self.state()?);
            } else {
                locals.push(self.local(annotations)?);
            }
        }
        self.expect("}")?;
        Ok(DeclKind::Parser(Box::new(ParserDecl {
            signature,
            constructor,
            locals,
            states,
        })))
    }

    fn constructor_parameters(&mut self) -> Parsed<Vec<Parameter>> {
        if self.is("(") {
            self.parameters()
        } else {
            Ok(Vec::new())
        }
    }

    fn state(&mut self) -> Parsed<State> {
        self.advance();
        let name = self.ident()?;
        self.expect("{")?;
        let body = self.statements();
        let transition = if self.accept("transition") {
            Some(self.transition()?)
        } else {
            None
        };
        self.expect("}")?;
        Ok(State {
            name,
            body,
            transition,
        })
    }

    fn transition(&mut self) -> Parsed<Transition> {
        if !self.is("select") {
            let target = self.ident()?;
            self.expect(";")?;
            return Ok(Transition::Direct(target));
        }
        self.advance();
        self.expect("(")?;
        let keys = self.list(")", Self::expr)?;
        self.expect("{")?;
        let mut cases = Vec::new();
        while !self.accept("}") {
            let set = self.set()?;
            self.expect(":")?;
            let target = self.ident()?;
            self.expect(";")?;
            cases.push((set, target));
        }
        self.accept(";");
        Ok(Transition::Select(keys, cases))
    }

    fn control(&mut self, annotations: Annotations) -> Parsed<DeclKind> {
        self.expect("control")?;
        let signature = self.signature(annotations)?;
        self.types.insert(signature.name.name.clone());
        if self.accept(";") {
            return Ok(DeclKind::ControlType(signature));
        }
        let constructor = self.constructor_parameters()?;
        self.expect("{")?;
        let mut locals = Vec::new();
        loop {
            if self.is("apply") && self.peek(1).is("{") {
                break;
            }
            if self.is("}") || self.at_end() {
                return self.fail("`apply`");
            }
            let before = self.at;
            let local = self.annotations().and_then(|list| self.local(list));
            match local {
                Ok(local) => locals.push(local),
                Err(Failed) => {
                    self.recover();
                    if self.at == before {
                        return Err(Failed);
                    }
                }
            }
        }
        self.expect("apply")?;
        let body = self.block()?;
        self.expect("}")?;
        Ok(DeclKind::Control(Box::new(ControlDecl {
            signature,
            constructor,
            locals,
            body,
        })))
    }

    fn local(&mut self, annotations: Annotations) -> Parsed<Local> {
        match &*self.token().text {
            "const" => return Ok(Local::Const(self.constant()?)),
            "action" => return Ok(Local::Action(self.action(annotations)?)),
            "table" => return Ok(Local::Table(self.table(annotations)?)),
            "value_set" => {
                self.advance();
                self.expect("<")?;
                self.ty()?;
                self.expect(">")?;
                self.expect("(")?;
                self.expr()?;
                self.expect(")")?;
                let name = self.ident()?;
                self.expect(";")?;
                return Ok(Local::ValueSet(name));
            }
            _ => {}
        }
        let start = self.at;
        let ty = self.ty()?;
        if self.is("(") {
            return Ok(Local::Instance(self.instance(ty, annotations)?));
        }
        self.at = start;
        Ok(Local::Var(self.variable(annotations)?))
    }

    fn instance(&mut self, ty: Type, annotations: Annotations) -> Parsed<Instance> {
        let arguments = self.arguments()?;
        let name = self.ident()?;
        if self.accept("=") {
            let span = self.token().span;
            return self.unsupported(span, "an instance with a body");
        }
        self.expect(";")?;
        Ok(Instance {
            name,
            ty,
            arguments,
            annotations,
        })
    }

    fn instance_or_function(&mut self, annotations: Annotations) -> Parsed<DeclKind> {
        if !Self::is_base_type(self.token()) && !self.at_name() {
            return self.fail("a declaration");
        }
        let ty = self.ty()?;
        if self.is("(") && matches!(ty.kind, TypeKind::Named(..)) {
            return Ok(DeclKind::Instance(self.instance(ty, annotations)?));
        }
        let mut signature = self.signature(annotations)?;
        signature.result = Some(ty);
        self.block()?;
        Ok(DeclKind::Function(signature))
    }

    fn action(&mut self, annotations: Annotations) -> Parsed<ActionDecl> {
        self.expect("action")?;
        let name = self.ident()?;
        let parameters = self.parameters()?;
        let body = self.block()?;
        Ok(ActionDecl {
            name,
            parameters,
            body,
            annotations,
        })
    }

    fn table(&mut self, annotations: Annotations) -> Parsed<TableDecl> {
        self.expect("table")?;
        let name = self.ident()?;
        self.expect("{")?;
        let mut properties = Vec::new();
        while !self.accept("}") {
            properties.push(self.property()?);
        }
        Ok(TableDecl {
            name,
            properties,
            annotations,
        })
    }

    fn property(&mut self) -> Parsed<Property> {
        self.annotations()?;
        let constant = self.accept("const");
        let name = self.word()?;
        self.expect("=")?;
        let value = match &*name.name {
            "key" => {
                self.expect("{")?;
                let mut elements = Vec::new();
                while !self.accept("}") {
                    elements.push(self.key_element()?);
                }
                PropertyValue::Key(elements)
            }
            "actions" => {
                self.expect("{")?;
                let mut refs = Vec::new();
                while !self.accept("}") {
                    refs.push(self.action_ref()?);
                    self.expect(";")?;
                }
                PropertyValue::Actions(refs)
            }
            "entries" if self.is("{") => {
                self.advance();
                let mut entries = Vec::new();
                while !self.accept("}") {
                    entries.push(self.entry()?);
                }
                PropertyValue::Entries(entries)
            }
            _ => {
                let value = self.expr()?;
                self.expect(";")?;
                PropertyValue::Expr(value)
            }
        };
        Ok(Property {
            name,
            constant,
            value,
        })
    }

    fn key_element(&mut self) -> Parsed<KeyElement> {
        let value = self.expr()?;
        self.expect(":")?;
        let kind = self.ident()?;
        let annotations = self.annotations()?;
        self.expect(";")?;
        Ok(KeyElement {
            value,
            kind,
            annotations,
        })
    }

    fn action_ref(&mut self) -> Parsed<ActionRef> {
        let annotations = self.annotations()?;
        let start = self.token().span;
        let global = self.accept(".");
        let name = self.ident()?;
        let arguments = if self.is("(") {
            Some(self.arguments()?)
        } else {
            None
        };
        Ok(ActionRef {
            global,
            name,
            arguments,
            annotations,
            span: self.since(start),
        })
    }

    fn entry(&mut self) -> Parsed<EntryDecl> {
        let start = self.token().span;
        let constant = self.accept("const");
        let priority = if self.is("priority") && self.peek(1).is("=") {
            self.advance();
            self.advance();
            let value = self.expr()?;
            self.expect(":")?;
            Some(value)
        } else {
            None
        };
        let keys = self.set()?;
        self.expect(":")?;
        let action = self.action_ref()?;
        self.expect(";")?;
        Ok(EntryDecl {
            constant,
            priority,
            keys,
            action,
            span: self.since(start),
        })
    }
}
