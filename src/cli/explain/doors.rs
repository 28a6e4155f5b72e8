//! At which listeners a caller is let in, in words and for programs.

use serde_json::{Value, json};

use crate::config::Settings;
use crate::context::Means;
use crate::explain::Door;

/// Says where a caller is let in, and where it is not.
pub(super) fn in_words(doors: &[Door], settings: &Settings) -> String {
    if doors.is_empty() {
        return "let in by no listener".to_owned();
    }
    let all = doors.iter().map(|door| {
        let at = address(door.listener, settings);
        if door.by == [Means::Nothing] {
            format!("let in at {at}")
        } else {
            let by: Vec<_> = means(door).collect();
            format!("known at {at} by {}", by.join(", "))
        }
    });
    let all: Vec<_> = all.collect();
    let is_shut = |place: &usize| !doors.iter().any(|door| door.listener == *place);
    let shut = (0..settings.listeners.len()).filter(is_shut);
    let shut: Vec<_> = shut.map(|place| address(place, settings)).collect();
    if shut.is_empty() {
        all.join(", ")
    } else {
        format!("{}; not at {}", all.join(", "), shut.join(", "))
    }
}

pub(super) fn to_json(doors: &[Door], settings: &Settings) -> Value {
    let door = |door: &Door| {
        json!({
            "address": address(door.listener, settings),
            "identified_by": means(door).collect::<Vec<_>>(),
        })
    };
    doors.iter().map(door).collect()
}

fn means(door: &Door) -> impl Iterator<Item = &'static str> {
    door.by.iter().map(|by| by.as_str())
}

fn address(listener: usize, settings: &Settings) -> String {
    let listener = settings.listeners.get(listener);
    listener.map_or_else(String::new, |listener| listener.address.to_string())
}
