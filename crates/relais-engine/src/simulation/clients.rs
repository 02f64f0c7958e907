//! What clients do, by lot: come, go, stall, change transport, ask for things, and break rules.

use super::agent::{Agent, FAST, Phase};
use super::committer::ROOMS;
use super::link::Pace;
use super::schedule::{Character, Simulation};
use super::service::kind;

/// Its link, when nothing is the matter with it: then it must get everything in time.
pub(crate) fn healthy_link(agent: &Agent) -> Option<u64> {
    let is_reading = agent.pace.read_bytes == FAST.read_bytes && !agent.is_mute;
    let link = agent
        .link
        .as_ref()
        .filter(|_| agent.is_connected() && is_reading)?;
    (!agent.has_sinned).then_some(link.number)
}

/// One client does something.
pub(crate) fn act(simulation: &mut Simulation, who: usize) {
    if simulation.agents[who].link.is_none() {
        return open(simulation, who);
    }
    let (character, chance) = (simulation.character, &mut simulation.chance);
    let agent = &mut simulation.agents[who];
    if !agent.is_connected() {
        match chance.below(10) {
            0 => agent.cut(true),
            1 => open(simulation, who),
            2 => meddle_with_link(simulation, who),
            _ => {}
        }
        return;
    }
    let weights = match character {
        Character::Flaky => [35, 25, 5, 5, 30],
        Character::Lossy => [50, 15, 10, 5, 20],
        Character::Slow => [35, 8, 45, 2, 10],
        Character::Busy => [60, 8, 5, 12, 15],
    };
    let mut lot = chance.below(100);
    let action = weights.iter().position(|weight| {
        let is_it = lot < *weight;
        lot = lot.saturating_sub(*weight);
        is_it
    });
    match action {
        Some(0) => ask(simulation, who),
        Some(1) => go(simulation, who),
        Some(2) => change_pace(simulation, who),
        Some(3) => break_a_rule(simulation, who),
        _ => meddle_with_link(simulation, who),
    }
}

/// Whoever is away comes back; whoever dawdles reads again; whoever has sinned begins anew.
pub(crate) fn recover(simulation: &mut Simulation, who: usize) {
    let agent = &mut simulation.agents[who];
    if agent.link.is_some() && healthy_link(agent).is_none() {
        let is_in_trouble = agent.has_sinned || agent.is_mute || !agent.is_connected();
        agent.pace = FAST;
        if is_in_trouble {
            agent.cut(true);
        }
    }
    if simulation.agents[who].link.is_none() {
        open(simulation, who);
    }
}

fn open(simulation: &mut Simulation, who: usize) {
    let chance = &mut simulation.chance;
    simulation.next_link += 1;
    let by_polling = chance.percent(40);
    let room_bytes = match simulation.character {
        Character::Slow => *chance.pick(&[64, 500, 4096, 65_536]),
        _ => *chance.pick(&[200, 65_536]),
    };
    let agent = &mut simulation.agents[who];
    if chance.percent(5) {
        agent.forget();
    }
    agent.open(simulation.next_link, by_polling, room_bytes);
    if chance.percent(30) {
        let (read, write) = (1 + chance.below(60), 1 + chance.below(60));
        if let Some(link) = &agent.link {
            link.split(read, write);
        }
    }
}

fn ask(simulation: &mut Simulation, who: usize) {
    let chance = &mut simulation.chance;
    let agent = &mut simulation.agents[who];
    let count = match simulation.character {
        Character::Busy => 1 + chance.below(12),
        _ => 1 + chance.below(3),
    };
    for _ in 0..count {
        let number = chance.below(ROOMS) as u64;
        match chance.below(21) {
            0..7 => agent.ask(kind::JOIN, number, true),
            7..9 => agent.ask(kind::LEAVE, number, true),
            9 => agent.ask(kind::DONE, 0, false),
            10 => agent.ask(kind::REPLY, 0, chance.percent(80)),
            11..13 => agent.ask(kind::PIPELINED, 0, chance.percent(90)),
            13 => agent.ask(kind::BARRIER, 0, chance.percent(90)),
            14 => agent.ask(kind::EMIT, 1 + chance.below(20) as u64, false),
            15 => agent.ask(kind::PUBLISH, number, true),
            16 => agent.ask(kind::ASK, 0, chance.percent(50)),
            17 => agent.ask_binary(kind::PIPELINED, 0),
            18 => agent.ask_binary(kind::JOIN, number),
            19 => agent.ask(kind::REFUSE, 0, chance.percent(80)),
            _ => agent.ask(kind::REPLY, 0, true),
        }
    }
}

/// It goes: for a while, or for good.
fn go(simulation: &mut Simulation, who: usize) {
    let chance = &mut simulation.chance;
    let agent = &mut simulation.agents[who];
    match chance.below(10) {
        0..3 => agent.cut(true),
        3..5 => agent.cut(false),
        // The link breaks while the client does not know it, and comes back first.
        5..8 => open(simulation, who),
        8 => agent.leave(),
        _ => agent.reconnect_in_place(),
    }
}

fn change_pace(simulation: &mut Simulation, who: usize) {
    let chance = &mut simulation.chance;
    let agent = &mut simulation.agents[who];
    agent.pace = match chance.below(4) {
        0 => Pace {
            read_bytes: 0,
            ..FAST
        },
        1 => Pace {
            read_bytes: 1 + chance.below(200),
            write_bytes: 1 + chance.below(30),
        },
        _ => FAST,
    };
}

fn break_a_rule(simulation: &mut Simulation, who: usize) {
    let chance = &mut simulation.chance;
    let agent = &mut simulation.agents[who];
    agent.has_sinned = true;
    match chance.below(10) {
        0 => agent.ask(kind::EXPLODE, 0, false),
        1 => agent.ask(kind::DISCONNECT, 0, false),
        2 => agent.ask(kind::CLOSE, 0, false),
        3 => agent.is_mute = true,
        4 => agent.say("2[\"c\""),
        5 => agent.say("2/elsewhere,[\"c\",1,1]"),
        6 => agent.say("0{}"),
        7 => {
            if let Some(link) = &mut agent.link {
                link.poll_twice();
                link.send_frame(*chance.pick(&[0, 3, 9, 10]), b"x");
            }
        }
        8 => agent.say("52-[\"c\",{\"_placeholder\":true,\"num\":0}]"),
        _ => {
            let bytes: Vec<u8> = (0..1 + chance.below(30))
                .map(|_| chance.next().to_be_bytes()[0])
                .collect();
            if let Some(link) = &mut agent.link {
                link.send_raw(&bytes);
            }
        }
    }
}

fn meddle_with_link(simulation: &mut Simulation, who: usize) {
    let chance = &mut simulation.chance;
    let room_bytes = *chance.pick(&[100, 65_536]);
    let agent = &mut simulation.agents[who];
    let may_upgrade = agent.phase != Phase::Opening;
    let Some(link) = &mut agent.link else {
        return;
    };
    match chance.below(10) {
        0..6 if may_upgrade => link.upgrade(room_bytes),
        6 => link.abandon_upgrade(),
        7 => link.split(1 + chance.below(100), 1 + chance.below(100)),
        8 => link.split(usize::MAX, usize::MAX),
        9 => {
            link.send_frame(9, b"are you there");
        }
        _ => {}
    }
}
