//! Changes that do not come through the API, and that no fault affects: those of the owner, and those of third parties.

use crate::load_balancer::LocalAlb;
use crate::settings::Instance;
use std::net::IpAddr;
use tokio::time::Instant;

impl LocalAlb {
    /// Adds an instance, so that it can be registered.
    pub fn add_instance(&self, instance: Instance) {
        self.model().instances.insert(instance.id.clone(), instance);
    }

    /// Assigns a further address to an instance: a secondary one, one of another interface, or an IPv6 address.
    pub fn assign_address(&self, instance_id: &str, address: IpAddr) {
        self.model().more_addresses.entry(instance_id.to_owned()).or_default().insert(address);
    }

    /// Takes such an address away from an instance.
    pub fn unassign_address(&self, instance_id: &str, address: IpAddr) {
        if let Some(addresses) = self.model().more_addresses.get_mut(instance_id) {
            addresses.remove(&address);
        }
    }

    /// Deregisters an instance permanently: it no longer counts as out of service.
    pub fn retire(&self, arn: &str, instance_id: &str) {
        let now = Instant::now();
        let mut model = self.model();
        let Some(group) = model.groups.get_mut(arn) else { return };
        group.expected.remove(instance_id);
        let delay = group.delay();
        group
            .targets
            .iter_mut()
            .filter(|((id, _), _)| id == instance_id)
            .for_each(|(_, t)| t.deregister(now, delay));
        model.count_out(now, arn);
    }

    /// Shifts traffic away from a zone. Its targets report this administrative override, such as `zonal_shift_active`.
    /// `None` ends the shift.
    pub fn shift_zone(&self, zone: &str, state: Option<&str>) {
        let shifted = &mut self.model().shifted_zones;
        match state {
            Some(state) => shifted.insert(zone.to_owned(), state.to_owned()),
            None => shifted.remove(zone),
        };
    }

    /// Lets a listener forward to a group, or no listener: a deployment swaps the colours.
    pub fn set_in_use(&self, arn: &str, in_use: bool) {
        let new = self.model().set_in_use(Instant::now(), arn, in_use);
        self.check_health_of(new);
    }

    /// Deletes a group.
    pub fn delete_target_group(&self, arn: &str) {
        self.model().groups.remove(arn);
    }

    /// Sets a tag of a group.
    pub fn set_tag(&self, arn: &str, key: &str, value: &str) {
        if let Some(group) = self.model().groups.get_mut(arn) {
            group.tags.set(Instant::now(), key, value);
        }
    }

    /// Removes a tag of a group.
    pub fn remove_tag(&self, arn: &str, key: &str) {
        if let Some(group) = self.model().groups.get_mut(arn) {
            group.tags.remove(Instant::now(), key);
        }
    }

    /// Registers a target, as a third party.
    pub fn register(&self, arn: &str, id: &str, port: u16) {
        let new = self.model().register(Instant::now(), arn, id, port);
        self.check_health_of(new.into_iter().collect());
    }

    /// Deregisters a target, as a third party.
    pub fn deregister(&self, arn: &str, id: &str, port: u16) {
        self.model().deregister(Instant::now(), arn, id, port);
    }
}
