//! Calls: what is called, which overload, and whether the arguments fit.

use std::rc::Rc;

use super::{Checker, Entity};
use crate::ast::{self, Argument, Direction, Ident};
use crate::diagnostics::{Code, Diagnostic};
use crate::hir::{Builtin, Call, Callee, Expr, ExprKind, InstanceId, Object, Param};
use crate::source::Span;
use crate::types::{ExternType, Function, Parameter, Substitution, Type};

impl Checker<'_> {
    /// A call as an expression.
    pub(super) fn call_expr(
        &mut self,
        callee: &ast::Expr,
        types: &[ast::Type],
        arguments: &[Argument],
        span: Span,
    ) -> Expr {
        if let Some(object) = self.constructor_call(callee, types, arguments, span) {
            return object;
        }
        match self.call(callee, types, arguments, span) {
            Some((call, ty)) => Expr {
                kind: ExprKind::Call(Box::new(call)),
                ty,
                span,
            },
            None => Self::bad(span),
        }
    }

    /// `Type(…)` where a value is wanted: an object without a name of its own.
    fn constructor_call(
        &mut self,
        callee: &ast::Expr,
        types: &[ast::Type],
        arguments: &[Argument],
        span: Span,
    ) -> Option<Expr> {
        let ast::ExprKind::Name(name, global) = &callee.kind else {
            return None;
        };
        let is_type = matches!(
            self.lookup(name, *global)?,
            Entity::Control(_) | Entity::Parser(_) | Entity::Extern(_) | Entity::Block(_)
        );
        if !is_type {
            return None;
        }
        let instance = ast::Instance {
            name: name.clone(),
            ty: ast::Type {
                kind: ast::TypeKind::Named(name.clone(), types.to_vec()),
                span: callee.span,
            },
            arguments: arguments.to_vec(),
            annotations: Rc::new([]),
        };
        Some(match self.instance(&instance, span) {
            Some(id) => Expr {
                kind: ExprKind::Object(id),
                ty: self.object_type(id),
                span,
            },
            None => Self::bad(span),
        })
    }

    /// A call and the type of its result.
    pub(super) fn call(
        &mut self,
        callee: &ast::Expr,
        types: &[ast::Type],
        arguments: &[Argument],
        span: Span,
    ) -> Option<(Call, Type)> {
        let types: Vec<Type> = types.iter().map(|ty| self.resolve(ty)).collect();
        match &callee.kind {
            ast::ExprKind::Name(name, global) => {
                let found = self.lookup(name, *global);
                self.call_name(name, found, &types, arguments, span)
            }
            ast::ExprKind::Member(base, method) => {
                self.call_member(base, method, &types, arguments, span)
            }
            _ => {
                self.error(Code::WrongKind, callee.span, "this cannot be called");
                None
            }
        }
    }

    fn call_name(
        &mut self,
        name: &Ident,
        found: Option<Entity>,
        types: &[Type],
        arguments: &[Argument],
        span: Span,
    ) -> Option<(Call, Type)> {
        match found {
            Some(Entity::Action(action)) => {
                let parameters = self.program.action(action).params.clone();
                let signature = self.signature_of(name, &parameters);
                let (arguments, _) = self.match_arguments(&signature, &[], arguments, span)?;
                let callee = Callee::Action(action);
                Some((call(callee, arguments, span), Type::Void))
            }
            Some(Entity::Functions(overloads)) => {
                let function = self.overload(name, &overloads, arguments, span)?;
                self.no_apply_in_action(span, false);
                let (arguments, result) =
                    self.match_arguments(&function, types, arguments, span)?;
                Some((call(Callee::Extern(function), arguments, span), result))
            }
            Some(other) => {
                let message = format!("`{}` is {}, it cannot be called", name.name, other.kind());
                self.error(Code::WrongKind, name.span, message);
                None
            }
            None => {
                self.unknown(name, "action or function");
                None
            }
        }
    }

    fn call_member(
        &mut self,
        base: &ast::Expr,
        method: &Ident,
        types: &[Type],
        arguments: &[Argument],
        span: Span,
    ) -> Option<(Call, Type)> {
        if let ast::ExprKind::Name(name, global) = &base.kind {
            match self.lookup(name, *global) {
                Some(Entity::Table(table)) => {
                    if &*method.name != "apply" || !arguments.is_empty() {
                        let message = "a table has one method: `apply()`, without arguments";
                        self.error(Code::UnknownMember, method.span, message);
                        return None;
                    }
                    self.no_apply_in_action(span, true);
                    let callee = Callee::Table(table);
                    return Some((call(callee, Vec::new(), span), Type::ApplyResult(table)));
                }
                Some(Entity::Instance(instance)) => {
                    return self.call_instance(instance, method, types, arguments, span);
                }
                Some(Entity::Control(_) | Entity::Parser(_)) => {
                    self.unsupported(span, "applying a control or parser without an instance");
                    return None;
                }
                _ => {}
            }
        }
        let base = self.expr(base, None);
        if let (ExprKind::Var(_), Type::Extern(of, args)) = (&base.kind, base.ty.clone()) {
            let function = self.method(&of, method, arguments, span)?;
            let function = instantiated(&of, &args, &function);
            let (arguments, result) = self.match_arguments(&function, types, arguments, span)?;
            let callee = Callee::ParameterMethod(of, function);
            return Some((call(callee, arguments, span), result));
        }
        if base.ty.is_bad() {
            return None;
        }
        let Some(callee) = self.builtin(&base, method) else {
            let message = format!("{} has no method `{}`", base.ty, method.name);
            self.error(Code::UnknownMember, method.span, message);
            return None;
        };
        self.call_builtin(callee, arguments, span)
    }

    fn call_builtin(
        &mut self,
        callee: Callee,
        arguments: &[Argument],
        span: Span,
    ) -> Option<(Call, Type)> {
        let Callee::Builtin(builtin, base) = &callee else {
            return None;
        };
        if *builtin != Builtin::IsValid && !self.check_writable(base) {
            return None;
        }
        let stack = matches!(builtin, Builtin::PushFront | Builtin::PopFront);
        if arguments.len() != usize::from(stack) {
            self.error(Code::Arguments, span, "wrong number of arguments");
            return None;
        }
        let mut checked = Vec::new();
        for argument in arguments {
            let count = self.constant_number(&argument.value, "the number of elements")?;
            checked.push(Some(Expr {
                kind: ExprKind::Int(count.into()),
                ty: Type::Integer,
                span: argument.value.span,
            }));
        }
        let ty = match builtin {
            Builtin::IsValid => Type::Bool,
            _ => Type::Void,
        };
        Some((call(callee, checked, span), ty))
    }

    fn call_instance(
        &mut self,
        id: InstanceId,
        method: &Ident,
        types: &[Type],
        arguments: &[Argument],
        span: Span,
    ) -> Option<(Call, Type)> {
        let object = self.program.instance(id).object.clone();
        match object {
            Object::Extern(of, args) => {
                let function = self.method(&of, method, arguments, span)?;
                let function = instantiated(&of, &args, &function);
                let (arguments, result) =
                    self.match_arguments(&function, types, arguments, span)?;
                let callee = Callee::Method(id, of, function);
                Some((call(callee, arguments, span), result))
            }
            Object::Control(_) | Object::Parser(_) if &*method.name == "apply" => {
                self.no_apply_in_action(span, true);
                let params = match object {
                    Object::Control(control) => self.program.control(control).params.clone(),
                    Object::Parser(parser) => self.program.parser(parser).params.clone(),
                    _ => Vec::new(),
                };
                let signature = self.signature_of(method, &params);
                let (arguments, _) = self.match_arguments(&signature, &[], arguments, span)?;
                Some((call(Callee::Apply(id), arguments, span), Type::Void))
            }
            _ => {
                let message = format!("there is no method `{}` here", method.name);
                self.error(Code::UnknownMember, method.span, message);
                None
            }
        }
    }

    fn no_apply_in_action(&mut self, span: Span, applies: bool) {
        if self.in_action && applies {
            let message = "an action cannot apply tables or controls";
            self.error(Code::WrongKind, span, message);
        }
    }

    /// Parameters of an action or block as its callers see them.
    pub(super) fn signature_of(&self, name: &Ident, params: &[Param]) -> Rc<Function> {
        let parameters = params.iter().map(|param| {
            let var = self.program.var(param.var);
            Parameter {
                name: var.name.clone(),
                ty: var.ty.clone(),
                direction: param.direction,
                optional: false,
                span: var.span,
            }
        });
        Rc::new(Function {
            name: name.name.clone(),
            type_parameters: Vec::new(),
            parameters: parameters.collect(),
            result: Type::Void,
            span: name.span,
        })
    }

    fn method(
        &mut self,
        of: &Rc<ExternType>,
        method: &Ident,
        arguments: &[Argument],
        span: Span,
    ) -> Option<Rc<Function>> {
        let named = of.methods.iter().filter(|m| m.name == method.name);
        let overloads: Vec<_> = named.filter(|m| m.name != of.name).cloned().collect();
        if overloads.is_empty() {
            let message = format!("`{}` has no method `{}`", of.name, method.name);
            self.error(Code::UnknownMember, method.span, message);
            return None;
        }
        self.overload(method, &overloads, arguments, span)
    }

    /// The overload that takes this many arguments.
    pub(super) fn overload(
        &mut self,
        name: &Ident,
        overloads: &[Rc<Function>],
        arguments: &[Argument],
        span: Span,
    ) -> Option<Rc<Function>> {
        let fits = |function: &&Rc<Function>| {
            let needed = function.parameters.iter().filter(|p| !p.optional).count();
            (needed..=function.parameters.len()).contains(&arguments.len())
        };
        if let Some(found) = overloads.iter().find(fits) {
            return Some(found.clone());
        }
        let counts: Vec<String> = overloads
            .iter()
            .map(|f| f.parameters.len().to_string())
            .collect();
        let (wanted, given) = (counts.join(" or "), arguments.len());
        let message = format!(
            "`{}` takes {wanted} arguments, {given} are given",
            name.name
        );
        let mut error = Diagnostic::error(Code::Arguments, span, message);
        for function in overloads {
            error = error.related(function.span, "declared here");
        }
        self.messages.push(error);
        None
    }

    /// Arguments in the order of parameters, converted, and the type of the result.
    pub(super) fn match_arguments(
        &mut self,
        function: &Function,
        types: &[Type],
        arguments: &[Argument],
        span: Span,
    ) -> Option<(Vec<Option<Expr>>, Type)> {
        let order = self.argument_order(function, arguments, span)?;
        let open = &function.type_parameters;
        if !types.is_empty() && types.len() != open.len() {
            let (name, wanted) = (&function.name, open.len());
            let message = format!("`{name}` takes {wanted} type arguments");
            self.error(Code::Arguments, span, message);
            return None;
        }
        let mut known = Substitution::new(open, types);
        let mut checked = Vec::new();
        for (parameter, argument) in function.parameters.iter().zip(&order) {
            let Some(argument) = argument else {
                checked.push(None);
                continue;
            };
            let wanted = parameter.ty.substitute(&known);
            let wanted = Some(&wanted).filter(|ty| !Self::is_open(open, ty));
            let value = self.expr(&argument.value, wanted);
            if !value.ty.is_bad() {
                known.infer(open, &parameter.ty, &value.ty);
            }
            checked.push(Some(value));
        }
        let mut failed = false;
        let mut converted = Vec::new();
        for (parameter, value) in function.parameters.iter().zip(checked) {
            let Some(value) = value else {
                converted.push(None);
                continue;
            };
            let ty = parameter.ty.substitute(&known);
            let value = self.argument(parameter, value, &ty);
            failed |= value.ty.is_bad();
            converted.push(Some(value));
        }
        let result = function.result.substitute(&known);
        if open.iter().any(|_| Self::is_open(open, &result)) {
            let message = format!("the type of the result of `{}` is not known", function.name);
            let error = Diagnostic::error(Code::Type, span, message);
            let note = format!("give it: `{}<…>(…)`", function.name);
            self.messages.push(error.note(note));
            return None;
        }
        (!failed).then_some((converted, result))
    }

    fn argument(&mut self, parameter: &Parameter, value: Expr, ty: &Type) -> Expr {
        let written = matches!(parameter.direction, Direction::Out | Direction::InOut);
        if !written {
            return self.coerce(value, ty);
        }
        if !self.check_writable(&value) {
            return Self::bad(value.span);
        }
        if !value.ty.same(ty) {
            let message = format!(
                "the parameter `{}` needs {ty}, this is {}",
                parameter.name, value.ty
            );
            let error = Diagnostic::error(Code::Type, value.span, message);
            self.messages
                .push(error.related(parameter.span, "the parameter"));
            return Self::bad(value.span);
        }
        value
    }

    /// The argument of each parameter.
    pub(super) fn argument_order<'a>(
        &mut self,
        function: &Function,
        arguments: &'a [Argument],
        span: Span,
    ) -> Option<Vec<Option<&'a Argument>>> {
        let parameters = &function.parameters;
        let mut order: Vec<Option<&Argument>> = vec![None; parameters.len()];
        if arguments.len() > parameters.len() {
            let (wanted, given) = (parameters.len(), arguments.len());
            let message = format!(
                "`{}` takes {wanted} arguments, {given} are given",
                function.name
            );
            let error = Diagnostic::error(Code::Arguments, span, message);
            self.messages
                .push(error.related(function.span, "declared here"));
            return None;
        }
        for (position, argument) in arguments.iter().enumerate() {
            let at = match &argument.name {
                None => Some(position),
                Some(name) => parameters.iter().position(|p| p.name == name.name),
            };
            match (at, &argument.name) {
                (Some(at), _) if order[at].is_none() => order[at] = Some(argument),
                (Some(_), _) => {
                    let message = "this parameter was given before";
                    self.error(Code::Arguments, argument.value.span, message);
                    return None;
                }
                (None, name) => {
                    let name = name.as_ref().map_or("", |n| &n.name);
                    let message = format!("`{}` has no parameter `{name}`", function.name);
                    self.error(Code::Arguments, argument.value.span, message);
                    return None;
                }
            }
        }
        let missing = parameters
            .iter()
            .zip(&order)
            .find(|(p, a)| a.is_none() && !p.optional);
        if let Some((parameter, _)) = missing {
            let message = format!("the argument for `{}` is missing", parameter.name);
            let error = Diagnostic::error(Code::Arguments, span, message);
            self.messages
                .push(error.related(parameter.span, "the parameter"));
            return None;
        }
        Some(order)
    }
}

fn call(callee: Callee, arguments: Vec<Option<Expr>>, span: Span) -> Call {
    Call {
        callee,
        arguments,
        span,
    }
}

/// A method with the type parameters of its object replaced.
pub(super) fn instantiated(
    of: &ExternType,
    args: &[Type],
    function: &Rc<Function>,
) -> Rc<Function> {
    if of.parameters.is_empty() {
        return function.clone();
    }
    let known = Substitution::new(&of.parameters, args);
    let parameters = function.parameters.iter().map(|p| Parameter {
        ty: p.ty.substitute(&known),
        ..p.clone()
    });
    Rc::new(Function {
        name: function.name.clone(),
        type_parameters: function.type_parameters.clone(),
        parameters: parameters.collect(),
        result: function.result.substitute(&known),
        span: function.span,
    })
}
