//! The entries of the ICE table.

use std::ffi::{c_char, c_int, c_uint};
use std::ptr;

use super::candidate::{self, Component, IceRole};
use super::slot::enter;
use super::traits::RtpEngineIce;
use super::types::TurnServer;
use crate::host::{slice, sys};

type Raw = *mut sys::ast_rtp_instance;

pub(super) fn fill<T: RtpEngineIce>(table: &mut sys::ast_rtp_engine_ice) {
    table.set_authentication = Some(set_authentication::<T>);
    table.add_remote_candidate = Some(add_remote_candidate::<T>);
    table.start = Some(start::<T>);
    table.stop = Some(stop::<T>);
    table.get_ufrag = Some(get_ufrag::<T>);
    table.get_password = Some(get_password::<T>);
    table.get_local_candidates = Some(get_local_candidates::<T>);
    table.ice_lite = Some(ice_lite::<T>);
    #[cfg(ast_has_ice_set_role)]
    {
        table.set_role = Some(set_role::<T>);
    }
    #[cfg(ast_has_ice_turn_request)]
    {
        table.turn_request = Some(turn_request::<T>);
    }
    #[cfg(ast_has_ice_change_components)]
    {
        table.change_components = Some(change_components::<T>);
    }
}

unsafe extern "C" fn set_authentication<T: RtpEngineIce>(instance: Raw, ufrag: *const c_char, password: *const c_char) {
    // SAFETY: the core passes an instance of this engine and strings, either of which may be null.
    unsafe {
        enter::<T, _>("ice set_authentication", instance, |slot, instance| {
            let (ufrag, password) = (slice::string(ufrag), slice::string(password));
            slot.session.set_authentication(instance, ufrag.as_deref(), password.as_deref());
        });
    }
}

unsafe extern "C" fn add_remote_candidate<T: RtpEngineIce>(
    instance: Raw,
    candidate: *const sys::ast_rtp_engine_ice_candidate,
) {
    // SAFETY: the core passes an instance of this engine and a candidate that it keeps.
    unsafe {
        enter::<T, _>("ice add_remote_candidate", instance, |slot, instance| {
            // A candidate without an address (a host name that was not resolved) cannot be tried.
            if let Some(candidate) = candidate::from_c(candidate) {
                slot.session.add_remote_candidate(instance, &candidate);
            }
        });
    }
}

unsafe extern "C" fn start<T: RtpEngineIce>(instance: Raw) {
    // SAFETY: the core passes an instance of this engine.
    unsafe { enter::<T, _>("ice start", instance, |slot, instance| RtpEngineIce::start(&*slot.session, instance)) };
}

unsafe extern "C" fn stop<T: RtpEngineIce>(instance: Raw) {
    // SAFETY: as above.
    unsafe { enter::<T, _>("ice stop", instance, |slot, instance| RtpEngineIce::stop(&*slot.session, instance)) };
}

unsafe extern "C" fn get_ufrag<T: RtpEngineIce>(instance: Raw) -> *const c_char {
    // SAFETY: as above.
    unsafe {
        enter::<T, _>("ice get_ufrag", instance, |slot, instance| slot.ufrag.give(slot.session.get_ufrag(instance)))
    }
}

unsafe extern "C" fn get_password<T: RtpEngineIce>(instance: Raw) -> *const c_char {
    // SAFETY: as above.
    unsafe {
        enter::<T, _>("ice get_password", instance, |slot, instance| {
            slot.password.give(slot.session.get_password(instance))
        })
    }
}

unsafe extern "C" fn get_local_candidates<T: RtpEngineIce>(instance: Raw) -> *mut sys::ao2_container {
    // SAFETY: as above; the caller gives the container's reference back.
    unsafe {
        enter::<T, _>("ice get_local_candidates", instance, |slot, instance| {
            match slot.session.get_local_candidates(instance) {
                Some(candidates) => candidate::container(candidates),
                None => ptr::null_mut(),
            }
        })
    }
}

unsafe extern "C" fn ice_lite<T: RtpEngineIce>(instance: Raw) {
    // SAFETY: the core passes an instance of this engine.
    unsafe { enter::<T, _>("ice ice_lite", instance, |slot, instance| slot.session.ice_lite(instance)) };
}

#[cfg(ast_has_ice_set_role)]
unsafe extern "C" fn set_role<T: RtpEngineIce>(instance: Raw, role: sys::ast_rtp_ice_role) {
    let role = match role {
        sys::ast_rtp_ice_role_AST_RTP_ICE_ROLE_CONTROLLING => IceRole::Controlling,
        _ => IceRole::Controlled,
    };
    // SAFETY: as above.
    unsafe { enter::<T, _>("ice set_role", instance, |slot, instance| slot.session.set_role(instance, role)) };
}

#[cfg(ast_has_ice_turn_request)]
unsafe extern "C" fn turn_request<T: RtpEngineIce>(
    instance: Raw,
    component: sys::ast_rtp_ice_component_type,
    transport: sys::ast_transport,
    server: *const c_char,
    port: c_uint,
    username: *const c_char,
    password: *const c_char,
) {
    // SAFETY: as above; the strings may be null.
    unsafe {
        enter::<T, _>("ice turn_request", instance, |slot, instance| {
            let (Some(host), Ok(port)) = (slice::string(server), u16::try_from(port)) else { return };
            let server = TurnServer {
                tcp: transport == sys::ast_transport_AST_TRANSPORT_TCP,
                host,
                port,
                username: slice::string(username).unwrap_or_default(),
                password: slice::string(password).unwrap_or_default(),
            };
            slot.session.turn_request(instance, Component::from_c(component), &server);
        });
    }
}

#[cfg(ast_has_ice_change_components)]
unsafe extern "C" fn change_components<T: RtpEngineIce>(instance: Raw, components: c_int) {
    // SAFETY: as above.
    unsafe {
        enter::<T, _>("ice change_components", instance, |slot, instance| {
            slot.session.change_components(instance, u32::try_from(components).unwrap_or(0));
        });
    }
}
