//! Declarations at the top of a program.

use std::rc::Rc;

use num_bigint::BigInt;

use super::{Checker, Entity, annotations};
use crate::ast::{self, Annotations, Decl, DeclKind, Ident, RecordKind, Signature};
use crate::diagnostics::{Code, Diagnostic};
use crate::hir::{ExprKind, Object};
use crate::source::Span;
use crate::types::{
    BlockKind, BlockType, EnumType, ExternType, Field, Function, NewType, Parameter, Record,
    SerializableEnum, Type,
};

impl Checker<'_> {
    pub(super) fn declaration(&mut self, declaration: &Decl) {
        match &declaration.kind {
            DeclKind::Const(constant) => self.constant(constant),
            DeclKind::Typedef(name, ty) => {
                let ty = self.resolve(ty);
                self.declare(name, Entity::Type(ty));
            }
            DeclKind::NewType(name, ty, annotations) => self.new_type(name, ty, annotations),
            DeclKind::Enum(name, members) => self.enumeration(name, members),
            DeclKind::SerializableEnum(name, ty, members) => {
                self.serializable_enum(name, ty, members);
            }
            DeclKind::Error(names) => self.errors(names),
            DeclKind::MatchKind(names) => {
                let names = names.iter().map(|name| name.name.clone());
                self.match_kinds.extend(names);
            }
            DeclKind::Record(kind, name, parameters, fields, annotations) => {
                if parameters.is_empty() {
                    self.record(*kind, name, fields, annotations);
                } else {
                    self.unsupported(name.span, "a generic structure or header");
                }
            }
            DeclKind::Extern(name, parameters, methods) => {
                self.external(name, parameters, methods);
            }
            DeclKind::ExternFunction(signature) => self.extern_function(signature),
            DeclKind::Function(signature) => {
                self.unsupported(signature.name.span, "a function");
            }
            DeclKind::ParserType(signature) => self.block_type(BlockKind::Parser, signature),
            DeclKind::ControlType(signature) => self.block_type(BlockKind::Control, signature),
            DeclKind::PackageType(signature) => self.block_type(BlockKind::Package, signature),
            DeclKind::Parser(parser) => self.parser(parser),
            DeclKind::Control(control) => self.control(control),
            DeclKind::Instance(instance) => self.global_instance(instance, declaration.span),
            DeclKind::Action(action) => {
                let id = self.action(action, true);
                self.declare(&action.name, Entity::Action(id));
            }
        }
    }

    fn new_type(&mut self, name: &Ident, ty: &ast::Type, annotations: &Annotations) {
        let original = self.resolve(ty);
        if !original.is_bad() && !original.is_scalar() {
            let message = format!("a new type cannot be made from {original}");
            self.error(Code::Type, ty.span, message);
        }
        if annotations::find(annotations, "p4runtime_translation").is_some() {
            self.unsupported(name.span, "@p4runtime_translation");
        }
        let made = Type::New(Rc::new(NewType {
            name: name.name.clone(),
            original,
            annotations: annotations.clone(),
        }));
        self.declare(name, Entity::Type(made));
    }

    fn unique(&mut self, names: &[&Ident], what: &str) {
        for (at, name) in names.iter().enumerate() {
            if let Some(first) = names[..at].iter().find(|other| other.name == name.name) {
                let message = format!("the {what} `{}` is declared twice", name.name);
                let error = Diagnostic::error(Code::Duplicate, name.span, message);
                self.messages
                    .push(error.related(first.span, "first declared here"));
            }
        }
    }

    fn enumeration(&mut self, name: &Ident, members: &[Ident]) {
        self.unique(&members.iter().collect::<Vec<_>>(), "member");
        let members = members.iter().map(|member| member.name.clone());
        let made = Type::Enum(Rc::new(EnumType {
            name: name.name.clone(),
            members: members.collect(),
        }));
        self.declare(name, Entity::Type(made));
    }

    fn serializable_enum(&mut self, name: &Ident, ty: &ast::Type, members: &[(Ident, ast::Expr)]) {
        let underlying = self.resolve(ty);
        if !matches!(underlying, Type::Bit(_) | Type::Signed(_) | Type::Bad) {
            let message = format!("an enumeration has bit<…> or int<…> values, not {underlying}");
            self.error(Code::Type, ty.span, message);
            return self.declare(name, Entity::Type(Type::Bad));
        }
        self.unique(
            &members.iter().map(|(n, _)| n).collect::<Vec<_>>(),
            "member",
        );
        let mut values: Vec<(ast::Name, BigInt)> = Vec::new();
        for (member, value) in members {
            let checked = self.expr(value, Some(&underlying));
            let checked = self.coerce(checked, &underlying);
            match checked.kind {
                ExprKind::Int(value) => values.push((member.name.clone(), value)),
                ExprKind::Bad => {}
                _ => {
                    let message = "the value of a member must be known at compile time";
                    self.error(Code::NotConstant, value.span, message);
                }
            }
        }
        let made = Type::SerializableEnum(Rc::new(SerializableEnum {
            name: name.name.clone(),
            underlying,
            members: values,
        }));
        self.declare(name, Entity::Type(made));
    }

    fn errors(&mut self, names: &[Ident]) {
        for name in names {
            if let Some(first) = self.error_spans.get(&name.name) {
                let message = format!("the error `{}` is declared twice", name.name);
                let error = Diagnostic::error(Code::Duplicate, name.span, message);
                self.messages
                    .push(error.related(*first, "first declared here"));
                continue;
            }
            self.error_spans.insert(name.name.clone(), name.span);
            self.program.errors.push(name.name.clone());
        }
    }

    fn record(
        &mut self,
        kind: RecordKind,
        name: &Ident,
        fields: &[ast::FieldDecl],
        annotations: &Annotations,
    ) {
        self.check_annotations(annotations);
        self.unique(&fields.iter().map(|f| &f.name).collect::<Vec<_>>(), "field");
        let mut checked = Vec::new();
        for field in fields {
            self.check_annotations(&field.annotations);
            let ty = self.resolve(&field.ty);
            self.check_field(kind, field, &ty);
            checked.push(Field {
                name: field.name.name.clone(),
                ty,
                annotations: field.annotations.clone(),
            });
        }
        let record = Rc::new(Record {
            kind,
            name: name.name.clone(),
            fields: checked,
            annotations: annotations.clone(),
            span: name.span,
        });
        if kind == RecordKind::Header {
            self.check_header(&record);
        }
        let made = self.bounded(Type::Record(record), name.span);
        self.declare(name, Entity::Type(made));
    }

    fn check_field(&mut self, kind: RecordKind, field: &ast::FieldDecl, ty: &Type) {
        let inner = match ty {
            Type::New(new) => &new.original,
            other => other,
        };
        let good = match kind {
            RecordKind::Header => matches!(
                inner,
                Type::Bad
                    | Type::Bit(_)
                    | Type::Signed(_)
                    | Type::Varbit(_)
                    | Type::Bool
                    | Type::SerializableEnum(_)
            ),
            RecordKind::Union => ty.is_bad() || ty.header().is_some(),
            RecordKind::Struct => !matches!(
                inner,
                Type::Void | Type::Integer | Type::Text | Type::MatchKind | Type::Extern(..)
            ),
        };
        if !good {
            let message = format!("a field cannot be of type {ty} here");
            self.error(Code::Type, field.ty.span, message);
        }
        if kind == RecordKind::Header
            && matches!(ty.record(), Some(r) if r.kind == RecordKind::Struct)
        {
            self.unsupported(field.ty.span, "a structure inside of a header");
        }
    }

    fn check_header(&mut self, record: &Rc<Record>) {
        let varying = |field: &&Field| matches!(field.ty.base(), Type::Varbit(_));
        if record.fields.iter().filter(varying).count() > 1 {
            let message = format!("the header {} has more than one varbit field", record.name);
            self.error(Code::Target, record.span, message);
        }
        let bits: u32 = record.fields.iter().filter_map(|f| f.ty.width()).sum();
        if !bits.is_multiple_of(8) {
            let message = format!(
                "the header {} has {bits} bits, not whole bytes",
                record.name
            );
            self.error(Code::Target, record.span, message);
        }
        if annotations::find(&record.annotations, "controller_header").is_some() {
            self.program.controller_headers.push(record.clone());
        }
    }

    fn parameters(&mut self, parameters: &[ast::Parameter]) -> Vec<Parameter> {
        self.unique(
            &parameters.iter().map(|p| &p.name).collect::<Vec<_>>(),
            "parameter",
        );
        let mut checked = Vec::new();
        for parameter in parameters {
            if parameter.default.is_some() {
                self.unsupported(parameter.name.span, "a parameter with a default value");
            }
            checked.push(Parameter {
                name: parameter.name.name.clone(),
                ty: self.resolve(&parameter.ty),
                direction: parameter.direction,
                optional: parameter.optional,
                span: parameter.name.span,
            });
        }
        checked
    }

    /// A function or method; its type parameters are known inside of it only.
    fn function(&mut self, signature: &Signature) -> Function {
        self.scoped(|checker| {
            let type_parameters = checker.declare_type_parameters(&signature.type_parameters);
            let parameters = checker.parameters(&signature.parameters);
            let result = signature.result.as_ref();
            let result = result.map_or(Type::Void, |ty| checker.resolve(ty));
            Function {
                name: signature.name.name.clone(),
                type_parameters,
                parameters,
                result,
                span: signature.name.span,
            }
        })
    }

    fn external(&mut self, name: &Ident, parameters: &[Ident], methods: &[Signature]) {
        let made = self.scoped(|checker| {
            let parameters = checker.declare_type_parameters(parameters);
            let methods = methods.iter().map(|method| {
                if method.is_abstract {
                    checker.unsupported(method.name.span, "an abstract method");
                }
                Rc::new(checker.function(method))
            });
            let methods = methods.collect();
            ExternType {
                name: name.name.clone(),
                parameters,
                methods,
            }
        });
        self.declare(name, Entity::Extern(Rc::new(made)));
    }

    fn extern_function(&mut self, signature: &Signature) {
        let function = Rc::new(self.function(signature));
        let name = &signature.name;
        if let Some(scope) = self.scopes.last_mut()
            && let Some((Entity::Functions(overloads), _)) = scope.get_mut(&name.name)
        {
            return overloads.push(function);
        }
        self.declare(name, Entity::Functions(vec![function]));
    }

    fn block_type(&mut self, kind: BlockKind, signature: &Signature) {
        let made = self.scoped(|checker| {
            let type_parameters = checker.declare_type_parameters(&signature.type_parameters);
            let parameters = checker.parameters(&signature.parameters);
            BlockType {
                kind,
                name: signature.name.name.clone(),
                type_parameters,
                parameters,
                span: signature.name.span,
            }
        });
        self.declare(&signature.name, Entity::Block(Rc::new(made)));
    }

    fn global_instance(&mut self, instance: &ast::Instance, span: Span) {
        let Some(id) = self.instance(instance, span) else {
            return;
        };
        let is_package = matches!(self.program.instance(id).object, Object::Package(_));
        if is_package && &*instance.name.name == "main" {
            self.program.main = Some(id);
        } else if !is_package {
            self.unsupported(
                instance.name.span,
                "an instance outside of controls and parsers",
            );
        }
        self.declare(&instance.name, Entity::Instance(id));
    }
}
