//! Text to configuration.

use toml::de::DeTable;

use super::read::{RawConfig, RawGroup, RawHost, RawNetwork, RawRule, RawSubnet, RawVnic};
use super::report::{ConfigErrors, Problems};
use super::table::{At, Table};
use super::{Config, Group, Host, Network, Rule, Subnet, Vnic, check, read};

impl Config {
    /// Reads a configuration from TOML. `source_name` is the file name for messages.
    ///
    /// # Errors
    ///
    /// Everything that is wrong at once. When the text is not TOML, only that.
    pub fn parse(source_name: &str, text: &str) -> Result<Config, ConfigErrors> {
        let mut problems = Problems::default();
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let message = format!("not TOML: {}", error.message().trim_end());
            problems.add(&span, message, "");
        }
        if !problems.is_empty() {
            return Err(problems.into_errors(source_name, text));
        }
        let table = Table::new(document.get_ref(), "configuration", 0..0);
        let raw = read::config(table, &mut problems);
        check::config(&raw, &mut problems);
        match raw.build() {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems.into_errors(source_name, text)),
        }
    }
}

/// `None` where something was missing, which is a problem already.
impl RawConfig {
    fn build(self) -> Option<Config> {
        Some(Config {
            hosts: all(self.hosts, RawHost::build)?,
            networks: all(self.networks, RawNetwork::build)?,
        })
    }
}

impl RawHost {
    fn build(self) -> Option<Host> {
        Some(Host {
            name: self.name?.value,
            vtep: self.vtep?.value,
            mac: self.mac?.value,
            mtu: u16::try_from(self.mtu?.value).ok()?,
        })
    }
}

impl RawNetwork {
    fn build(self) -> Option<Network> {
        Some(Network {
            tenant: self.tenant?.value,
            name: self.name?.value,
            vni: self.vni?.value,
            tunnel: self.tunnel?.value,
            mtu: u16::try_from(self.mtu?.value).ok()?,
            subnets: all(self.subnets, RawSubnet::build)?,
            vnics: all(self.vnics, RawVnic::build)?,
            groups: all(self.groups, RawGroup::build)?,
        })
    }
}

impl RawSubnet {
    fn build(self) -> Option<Subnet> {
        Some(Subnet {
            name: self.name?.value,
            ipv4: self.ipv4.map(|prefix| prefix.value),
            ipv6: self.ipv6.map(|prefix| prefix.value),
            gateways: values(self.gateways?.items),
            gateway_mac: self.gateway_mac?.value,
        })
    }
}

impl RawVnic {
    fn build(self) -> Option<Vnic> {
        Some(Vnic {
            name: self.name?.value,
            host: self.host?.value,
            vf: u16::try_from(self.vf?.value).ok()?,
            vlan: u16::try_from(self.vlan?.value).ok()?,
            mac: self.mac?.value,
            addresses: values(self.addresses?.items),
            groups: values(self.groups),
        })
    }
}

impl RawGroup {
    fn build(self) -> Option<Group> {
        Some(Group {
            name: self.name?.value,
            rules: all(self.rules, RawRule::build)?,
        })
    }
}

impl RawRule {
    fn build(self) -> Option<Rule> {
        Some(Rule {
            side: self.side?.value,
            allow: self.allow?.value,
            protocol: self.protocol?.value,
            ports: self.ports?.value,
            remote: self.remote?.value,
            stateful: self.stateful?.value,
            priority: self.priority?.value,
        })
    }
}

fn all<R, T>(items: Vec<R>, build: fn(R) -> Option<T>) -> Option<Vec<T>> {
    items.into_iter().map(build).collect()
}

fn values<T>(items: Vec<At<T>>) -> Vec<T> {
    items.into_iter().map(|item| item.value).collect()
}
