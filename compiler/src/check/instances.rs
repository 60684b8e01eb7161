//! Objects: instances of controls, parsers, externs and packages.

use std::rc::Rc;

use super::calls::instantiated;
use super::{Checker, Entity};
use crate::ast::{self, Direction, Ident};
use crate::diagnostics::{Code, Diagnostic};
use crate::hir::{Expr, ExprKind, InstanceId, Object, Param};
use crate::source::Span;
use crate::types::{BlockKind, BlockType, ExternType, Function, Parameter, Substitution, Type};

impl Checker<'_> {
    /// Type of an instance, for package arguments.
    pub(super) fn object_type(&self, id: InstanceId) -> Type {
        match &self.program.instance(id).object {
            Object::Extern(of, args) => Type::Extern(of.clone(), args.clone()),
            // Controls and parsers are compared with package parameters by their parameters.
            Object::Control(_) | Object::Parser(_) | Object::Package(_) => Type::Void,
        }
    }

    /// Declares an object; `None` when its arguments do not fit.
    pub(super) fn instance(&mut self, instance: &ast::Instance, span: Span) -> Option<InstanceId> {
        let ast::TypeKind::Named(type_name, _) = &instance.ty.kind else {
            let message = "only parsers, controls, externs and packages have instances";
            self.error(Code::WrongKind, instance.ty.span, message);
            return None;
        };
        self.check_annotations(&instance.annotations);
        let (object, arguments) = match self.find(&type_name.name).cloned() {
            Some(Entity::Control(control)) => {
                let constructor = self.program.control(control).constructor.clone();
                let arguments =
                    self.constructor_arguments(type_name, &constructor, instance, span)?;
                (Object::Control(control), arguments)
            }
            Some(Entity::Parser(parser)) => {
                let constructor = self.program.parser(parser).constructor.clone();
                let arguments =
                    self.constructor_arguments(type_name, &constructor, instance, span)?;
                (Object::Parser(parser), arguments)
            }
            Some(Entity::Extern(of)) => self.extern_object(&of, instance, span)?,
            Some(Entity::Block(of)) => self.package(&of, instance, span)?,
            Some(other) => {
                let message = format!(
                    "`{}` is {}: it has no instances",
                    type_name.name,
                    other.kind()
                );
                self.error(Code::WrongKind, type_name.span, message);
                return None;
            }
            None => {
                self.unknown(type_name, "type");
                return None;
            }
        };
        self.program.instances.push(crate::hir::Instance {
            name: instance.name.name.clone(),
            object,
            arguments,
            annotations: instance.annotations.clone(),
            span: instance.name.span,
        });
        Some(InstanceId(self.program.instances.len() as u32 - 1))
    }

    fn constructor_arguments(
        &mut self,
        name: &Ident,
        constructor: &[crate::hir::VarId],
        instance: &ast::Instance,
        span: Span,
    ) -> Option<Vec<Option<Expr>>> {
        let params: Vec<Param> = constructor
            .iter()
            .map(|var| Param {
                var: *var,
                direction: Direction::None,
                annotations: Rc::new([]),
            })
            .collect();
        let signature = self.signature_of(name, &params);
        let found = self.match_arguments(&signature, &[], &instance.arguments, span);
        let (arguments, _) = found?;
        self.constants_only(&arguments)?;
        Some(arguments)
    }

    /// Constructor arguments are known at compile time.
    fn constants_only(&mut self, arguments: &[Option<Expr>]) -> Option<()> {
        let known = |expr: &Expr| {
            matches!(
                expr.kind,
                ExprKind::Int(_)
                    | ExprKind::Bool(_)
                    | ExprKind::Text(_)
                    | ExprKind::EnumMember(_)
                    | ExprKind::ErrorMember(_)
                    | ExprKind::Object(_)
                    | ExprKind::Var(_)
            )
        };
        let unknown = arguments.iter().flatten().find(|expr| !known(expr));
        let Some(unknown) = unknown.map(|expr| expr.span) else {
            return Some(());
        };
        let message = "a constructor argument must be known at compile time";
        self.error(Code::NotConstant, unknown, message);
        None
    }

    fn extern_object(
        &mut self,
        of: &Rc<ExternType>,
        instance: &ast::Instance,
        span: Span,
    ) -> Option<(Object, Vec<Option<Expr>>)> {
        let Type::Extern(_, args) = self.resolve(&instance.ty) else {
            return None;
        };
        let constructors: Vec<_> = of
            .methods
            .iter()
            .filter(|m| m.name == of.name)
            .cloned()
            .collect();
        if constructors.is_empty() {
            let message = format!(
                "`{}` has no constructor: it is made by the architecture",
                of.name
            );
            self.error(Code::WrongKind, instance.ty.span, message);
            return None;
        }
        let name = Ident {
            name: of.name.clone(),
            span: instance.ty.span,
        };
        let function = self.overload(&name, &constructors, &instance.arguments, span)?;
        let function = instantiated(of, &args, &function);
        let (arguments, _) = self.match_arguments(&function, &[], &instance.arguments, span)?;
        self.constants_only(&arguments)?;
        Some((Object::Extern(of.clone(), args), arguments))
    }

    fn package(
        &mut self,
        of: &Rc<BlockType>,
        instance: &ast::Instance,
        span: Span,
    ) -> Option<(Object, Vec<Option<Expr>>)> {
        if of.kind != BlockKind::Package {
            let message = format!("`{}` is only a type: it has no instances", of.name);
            self.error(Code::WrongKind, instance.ty.span, message);
            return None;
        }
        let function = Function {
            name: of.name.clone(),
            type_parameters: Vec::new(),
            parameters: of.parameters.clone(),
            result: Type::Void,
            span: of.span,
        };
        let order = self.argument_order(&function, &instance.arguments, span)?;
        let mut known = Substitution::default();
        let mut arguments = Vec::new();
        for (parameter, argument) in of.parameters.iter().zip(order) {
            let Some(argument) = argument else {
                arguments.push(None);
                continue;
            };
            let value = self.expr(&argument.value, None);
            self.check_block(of, parameter, &value, &mut known)?;
            arguments.push(Some(value));
        }
        Some((Object::Package(of.clone()), arguments))
    }

    /// Whether a control or parser has the parameters that the package wants.
    fn check_block(
        &mut self,
        package: &BlockType,
        parameter: &Parameter,
        value: &Expr,
        known: &mut Substitution,
    ) -> Option<()> {
        if value.ty.is_bad() {
            return None;
        }
        let Type::Block(wanted, args) = &parameter.ty else {
            return Some(());
        };
        let object = match value.kind {
            ExprKind::Object(id) => Some(&self.program.instance(id).object),
            _ => None,
        };
        let params = match object {
            Some(Object::Control(control)) if wanted.kind == BlockKind::Control => {
                &self.program.control(*control).params
            }
            Some(Object::Parser(parser)) if wanted.kind == BlockKind::Parser => {
                &self.program.parser(*parser).params
            }
            _ => {
                let message = format!("`{}` needs a {}", parameter.name, wanted.name);
                self.error(Code::Type, value.span, message);
                return None;
            }
        };
        let given: Vec<(Type, Direction, Span)> = params
            .iter()
            .map(|p| {
                let var = self.program.var(p.var);
                (var.ty.clone(), p.direction, var.span)
            })
            .collect();
        let formal = Substitution::new(&wanted.type_parameters, args);
        let mut fits = given.len() == wanted.parameters.len();
        for (p, (ty, direction, _)) in wanted.parameters.iter().zip(&given) {
            let pattern = p.ty.substitute(&formal);
            known.infer(&package.type_parameters, &pattern, ty);
            fits &= pattern.substitute(known).same(ty) && p.direction == *direction;
        }
        if fits {
            return Some(());
        }
        let message = format!(
            "this does not have the parameters of {}, which `{}` of {} needs",
            wanted.name, parameter.name, package.name
        );
        let error = Diagnostic::error(Code::Type, value.span, message);
        let error = error.related(wanted.span, "the parameters that are needed");
        self.messages.push(match given.first() {
            Some((_, _, span)) => error.related(*span, "the parameters that it has begin here"),
            None => error,
        });
        None
    }
}
