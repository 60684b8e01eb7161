//! The externs of v1model: arrays of counters, meters and registers, and functions.

use std::rc::Rc;

use flownic_pipeline::bmv2::{self, Value};

use super::Lowerer;
use super::code::Code;
use super::storage::{FieldPlace, Place};
use super::values::argument;
use crate::diagnostics::Code as MessageCode;
use crate::hir::{Call, Expr, ExprKind, InstanceId};
use crate::types::{ExternType, Function, Type};

impl Lowerer<'_> {
    /// Arrays of all extern objects. Direct counters follow with their tables.
    pub(super) fn extern_arrays(&mut self) {
        let design = self.design;
        for object in &design.externs {
            match &*object.of.name {
                "counter" => {
                    let size = self.array_size(object);
                    self.out.counter_arrays.push(bmv2::CounterArray {
                        name: object.name.clone(),
                        id: self.out.counter_arrays.len() as u32,
                        source_info: None,
                        size: Some(size),
                        is_direct: false,
                        binding: None,
                    });
                }
                "register" => self.register_array(object),
                "meter" => self.meter_array(object),
                "direct_counter" => {}
                other => self.unsupported(object.span, &format!("the extern `{other}`")),
            }
        }
    }

    fn array_size(&mut self, object: &crate::elaborate::ExternObject) -> u32 {
        let argument = object.arguments.first().and_then(Option::as_ref);
        let size = match argument.map(|a| &a.kind) {
            Some(ExprKind::Int(value)) => u32::try_from(value).ok().filter(|size| *size > 0),
            _ => None,
        };
        if size.is_none() {
            let message = "the size must be a number above zero that is known at compile time";
            self.error(MessageCode::Range, object.span, message);
        }
        size.unwrap_or(1)
    }

    fn register_array(&mut self, object: &crate::elaborate::ExternObject) {
        let size = self.array_size(object);
        let width = object.args.first().and_then(Type::width);
        let Some(width) = width else {
            let message = "a register holds a number: bit<…>, int<…> or bool";
            return self.error(MessageCode::Target, object.span, message);
        };
        self.out.register_arrays.push(bmv2::RegisterArray {
            name: object.name.clone(),
            id: self.out.register_arrays.len() as u32,
            source_info: None,
            size,
            bitwidth: width,
        });
    }

    fn meter_array(&mut self, object: &crate::elaborate::ExternObject) {
        let size = self.array_size(object);
        let kind = object.arguments.get(1).and_then(Option::as_ref);
        let kind = match kind.map(|k| &k.kind) {
            Some(ExprKind::EnumMember(0)) => bmv2::MeterKind::Packets,
            _ => bmv2::MeterKind::Bytes,
        };
        self.out.meter_arrays.push(bmv2::MeterArray {
            name: object.name.clone(),
            id: self.out.meter_arrays.len() as u32,
            source_info: None,
            is_direct: false,
            binding: None,
            size: Some(size),
            rate_count: 2,
            kind,
            result_target: None,
        });
    }

    /// The argument as a value that a primitive takes.
    fn given(&mut self, call: &Call, at: usize) -> Value {
        match call.arguments.get(at).and_then(Option::as_ref) {
            Some(value) => argument(self.data(value)),
            None => super::numbers::number(0),
        }
    }

    /// Runs `make` with the field that an out argument names; when it is no whole field, a
    /// variable of the compiler's stands in for it.
    fn with_out(
        &mut self,
        call: &Call,
        at: usize,
        code: &mut Code,
        make: impl FnOnce(&mut Self, &FieldPlace, &mut Code),
    ) {
        let Some(target) = call.arguments.get(at).and_then(Option::as_ref) else {
            return;
        };
        if let Some(field) = self.out_field(target) {
            return make(self, &field, code);
        }
        if !matches!(target.kind, ExprKind::Slice(..)) {
            return self.unsupported(target.span, "this argument");
        }
        let temporary = self.temporary(&target.ty, target.span);
        let Place::Field(field) = &*temporary else {
            return;
        };
        make(self, field, code);
        // The other bits stay.
        self.assign_field(target, field, code);
    }

    fn assign_field(&mut self, target: &Expr, from: &FieldPlace, code: &mut Code) {
        let var = crate::hir::VarId(u32::MAX);
        let place = Rc::new(Place::Field(from.clone()));
        self.bind(var, super::storage::Slot::Place(place));
        let value = Expr {
            kind: ExprKind::Var(var),
            ty: target.ty.clone(),
            span: target.span,
        };
        self.assign(target, &value, code);
    }

    pub(super) fn extern_method(
        &mut self,
        instance: InstanceId,
        of: &Rc<ExternType>,
        method: &Rc<Function>,
        call: &Call,
        code: &mut Code,
    ) {
        let Some(object) = self.design.extern_of(self.block, instance) else {
            return self.unsupported(call.span, "an extern from outside of this control");
        };
        let name = object.name.clone();
        match (&*of.name, &*method.name) {
            ("counter", "count") => {
                let index = self.given(call, 0);
                code.push("count", vec![Value::CounterArray(name), index]);
            }
            // Entries count by themselves.
            ("direct_counter", "count") => {}
            ("register", "read") => {
                let index = self.given(call, 1);
                self.with_out(call, 0, code, |_, field, code| {
                    let array = Value::RegisterArray(name);
                    code.push("register_read", vec![field.value(), array, index]);
                });
            }
            ("register", "write") => {
                let (index, value) = (self.given(call, 0), self.given(call, 1));
                let array = Value::RegisterArray(name);
                code.push("register_write", vec![array, index, value]);
            }
            ("meter", "execute_meter") => {
                let index = self.given(call, 0);
                self.with_out(call, 1, code, |_, field, code| {
                    let array = Value::MeterArray(name);
                    code.push("execute_meter", vec![array, index, field.value()]);
                });
            }
            (of, method) => self.unsupported(call.span, &format!("`{method}` of `{of}`")),
        }
    }

    pub(super) fn extern_function(
        &mut self,
        function: &Rc<Function>,
        call: &Call,
        code: &mut Code,
    ) {
        match &*function.name {
            "mark_to_drop" => {
                let target = call.arguments.first().and_then(Option::as_ref);
                let mut fields = Vec::new();
                if let Some(place) = target.and_then(|target| self.place(target)) {
                    Self::leaves(&place, &mut fields);
                }
                if fields
                    .first()
                    .is_none_or(|field| field.header != "standard_metadata")
                {
                    return self.unsupported(call.span, "a copy of the standard metadata here");
                }
                let header = Value::Header("standard_metadata".to_owned());
                code.push("mark_to_drop", vec![header]);
            }
            "hash" => self.hash(call, code),
            "random" => {
                let (low, high) = (self.given(call, 1), self.given(call, 2));
                self.with_out(call, 0, code, |_, field, code| {
                    code.push("modify_field_rng_uniform", vec![field.value(), low, high]);
                });
            }
            "truncate" => {
                let length = self.given(call, 0);
                code.push("truncate", vec![length]);
            }
            name @ ("assert" | "assume") => {
                if let Some(condition) = call.arguments.first().and_then(Option::as_ref) {
                    let condition = self.condition(condition);
                    code.push(name, vec![argument(condition)]);
                }
            }
            "log_msg" => self.log_message(call, code),
            name @ ("verify_checksum"
            | "update_checksum"
            | "verify_checksum_with_payload"
            | "update_checksum_with_payload") => {
                let message = format!("`{name}` belongs in the checksum controls of the package");
                self.error(MessageCode::Target, call.span, message);
            }
            "verify" => {
                let message = "`verify` belongs in parsers";
                self.error(MessageCode::Target, call.span, message);
            }
            name => self.unsupported(call.span, &format!("`{name}`")),
        }
    }

    fn log_message(&mut self, call: &Call, code: &mut Code) {
        let [Some(text), data @ ..] = &call.arguments[..] else {
            return;
        };
        let ExprKind::Text(text) = &text.kind else {
            return self.unsupported(call.span, "a message that is no string");
        };
        let mut values = Vec::new();
        if let Some(Some(data)) = data.first() {
            let parts = match &data.kind {
                ExprKind::Parts(parts) => &parts[..],
                _ => std::slice::from_ref(data),
            };
            for part in parts {
                values.push(argument(self.data(part)));
            }
        }
        let text = Value::String(text.to_string());
        code.push("log_msg", vec![text, Value::ParametersVector(values)]);
    }

    /// `hash(out, algorithm, base, data, max)`.
    fn hash(&mut self, call: &Call, code: &mut Code) {
        let [_, Some(algorithm), _, Some(data), _] = &call.arguments[..] else {
            return;
        };
        let Some(algorithm) = self.algorithm(algorithm) else {
            return;
        };
        let input = self.calculation_input(data, Some(code));
        let name = self.calculation(&algorithm, input);
        let (base, max) = (self.given(call, 2), self.given(call, 4));
        self.with_out(call, 0, code, |_, field, code| {
            let calculation = Value::Calculation(name);
            let parameters = vec![field.value(), base, calculation, max];
            code.push("modify_field_with_hash_based_offset", parameters);
        });
    }

    /// bmv2's name of a member of `HashAlgorithm`.
    pub(super) fn algorithm(&mut self, expr: &Expr) -> Option<String> {
        if let (ExprKind::EnumMember(at), Type::Enum(of)) = (&expr.kind, &expr.ty) {
            return Some(of.members[*at].to_string());
        }
        let message = "the algorithm must be a member of HashAlgorithm";
        self.error(MessageCode::NotConstant, expr.span, message);
        None
    }

    pub(super) fn calculation(&mut self, algo: &str, input: Vec<bmv2::CalculationInput>) -> String {
        let name = self.unique("calc");
        self.out.calculations.push(bmv2::Calculation {
            name: name.clone(),
            id: self.out.calculations.len() as u32,
            source_info: None,
            algo: algo.to_owned(),
            input,
        });
        name
    }

    /// Fields and numbers that go into a calculation. Other values are computed into variables
    /// first, where there is a place for steps.
    pub(super) fn calculation_input(
        &mut self,
        data: &Expr,
        mut code: Option<&mut Code>,
    ) -> Vec<bmv2::CalculationInput> {
        let mut input = Vec::new();
        let plain = |value| bmv2::CalculationInput {
            value,
            bitwidth: None,
        };
        if let ExprKind::Parts(parts) = &data.kind {
            for part in parts {
                input.extend(self.calculation_input(part, code.as_deref_mut()));
            }
            return input;
        }
        if let ExprKind::Int(value) = &data.kind {
            let Some(width) = data.ty.width() else {
                let message = "this number has no width: write it as `8w1`";
                self.error(MessageCode::Type, data.span, message);
                return input;
            };
            let value = Value::Hexstr(super::numbers::padded(value, width));
            return vec![bmv2::CalculationInput {
                value,
                bitwidth: Some(width),
            }];
        }
        match (self.place(data).as_deref(), code) {
            (Some(Place::Header(name, _)), _) => {
                input.push(plain(Value::Header(name.clone())));
            }
            (Some(place), _) => {
                let mut leaves = Vec::new();
                Self::leaves(place, &mut leaves);
                input.extend(leaves.iter().map(|leaf| plain(leaf.value())));
            }
            (None, Some(code)) if data.ty.is_scalar() => {
                let temporary = self.temporary(&data.ty, data.span);
                self.store(&temporary, data, code);
                if let Place::Field(field) = &*temporary {
                    input.push(plain(field.value()));
                }
            }
            _ => self.unsupported(data.span, "this value as part of a checksum"),
        }
        input
    }
}
