//! One run: a seed decides who does what when, the engine answers, and in the end everyone must have everything.
//!
//! A run has a character, which says how hard its world is; the weights of its steps and the engine's limits follow from it.

use std::time::Duration;

use super::agent::{Agent, Identity};
use super::chance::Chance;
use super::committer::Committer;
use super::house::{self, House, Outcome};
use super::world::{Shared, Weather};
use super::{checks, clients, panics};
use crate::settings::Settings;

/// What a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Character {
    /// Links break, are taken over and change transport; the log answers.
    Flaky,
    /// Publications are lost, doubled and late; the log is slow, fails and trims.
    Lossy,
    /// Outboxes are small, and some read slowly or not at all.
    Slow,
    /// Commands of all kinds are in flight, and clients break rules.
    Busy,
}

/// One run to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) character: Character,
    pub(crate) is_traced: bool,
}

/// Everything of one run.
pub(crate) struct Simulation {
    pub(crate) character: Character,
    pub(crate) chance: Chance,
    pub(crate) world: Shared,
    pub(crate) house: House,
    pub(crate) agents: Vec<Agent>,
    pub(crate) committer: Committer,
    pub(crate) next_link: u64,
}

/// Turns of reading before time passes.
const TURNS_MAX: usize = 50;

/// Number of scopes.
pub(crate) const SCOPES: u32 = 2;

/// Runs a plan from its beginning to its end.
pub(crate) fn run(plan: Plan) -> Outcome {
    panics::watch();
    let outcome = house::run(plan.seed, async || {
        let mut simulation = Simulation::new(plan);
        let steps = 60 + simulation.chance.below(120);
        for _ in 0..steps {
            simulation.step().await;
            if simulation.has_failed() {
                break;
            }
        }
        if !simulation.has_failed() {
            simulation.finish().await;
        }
        drop(simulation.agents);
        simulation.house.close().await
    });
    panics::unwatch();
    outcome
}

impl Simulation {
    fn new(plan: Plan) -> Self {
        let mut chance = Chance::new(plan.seed);
        let settings = settings(plan.character, &mut chance);
        let world = Shared::new(plan.seed, SCOPES, plan.is_traced);
        let house = House::build(world.clone(), settings);
        let engine = &house.engine;
        let count = 3 + chance.below(5) as u64;
        let agents = (0..count).map(|number| {
            let is_plain = chance.percent(25);
            let identity = Identity {
                number,
                scope: u32::try_from(chance.below(SCOPES as usize)).unwrap_or(0),
                namespace: if chance.percent(15) && !is_plain {
                    "/n"
                } else {
                    "/"
                },
                has_recovery: chance.percent(80) || is_plain,
                is_plain,
            };
            Agent::new(world.clone(), engine.clone(), &identity)
        });
        let agents = agents.collect();
        Self {
            character: plan.character,
            committer: Committer::new(&house),
            chance,
            world,
            house,
            agents,
            next_link: 0,
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.world.lock().has_failed()
    }

    /// One thing happens, then the engine has a while.
    async fn step(&mut self) {
        match self.chance.below(100) {
            0..55 => {
                let who = self.chance.below(self.agents.len());
                clients::act(self, who);
            }
            55..85 => self.committer.act(self.character, &mut self.chance),
            85..92 => self.change_weather(),
            92..98 => self.committer.meddle(&mut self.chance, &self.house.shards),
            _ => self.check_that_everyone_catches_up().await,
        }
        let wait = match self.chance.below(10) {
            0..5 => 0,
            5..8 => self.chance.below(20),
            8 => self.chance.below(400),
            _ => self.chance.below(4000),
        };
        self.pass(wait).await;
    }

    /// Time passes, in which clients read and answer at their pace.
    pub(crate) async fn pass(&mut self, milliseconds: usize) {
        let mut left = milliseconds;
        loop {
            // Whatever can move without time, does; what the slowest network holds is little, so it takes many turns.
            for _ in 0..TURNS_MAX {
                self.house.settle().await;
                let came = self.agents.iter_mut().map(Agent::pump);
                if came.filter(|came| *came).count() == 0 {
                    break;
                }
            }
            self.house.check();
            if left == 0 || self.has_failed() {
                return;
            }
            let a_while = left.min(100);
            left -= a_while;
            tokio::time::sleep(Duration::from_millis(a_while as u64)).await;
        }
    }

    fn change_weather(&mut self) {
        let chance = &mut self.chance;
        let mut weather = Weather::default();
        if chance.percent(60) {
            weather.log_slow_ms = *chance.pick(&[0, 1, 5, 40]);
            weather.service_slow_ms = *chance.pick(&[0, 3, 30, 300]);
        }
        match self.character {
            Character::Lossy => {
                weather.log_slow_ms = *chance.pick(&[0, 5, 40, 400]);
                weather.log_fails_percent = *chance.pick(&[0, 0, 30, 80]);
                weather.publications_lost_percent = *chance.pick(&[0, 10, 40, 100]);
                weather.publications_late_percent = *chance.pick(&[0, 20, 60]);
            }
            Character::Busy => {
                weather.service_slow_ms = *chance.pick(&[0, 3, 50, 1000]);
                weather.service_refuses_percent = *chance.pick(&[0, 0, 10]);
            }
            Character::Flaky | Character::Slow => {
                weather.publications_late_percent = *chance.pick(&[0, 0, 10]);
            }
        }
        self.world.note(|| format!("weather: {weather:?}"));
        self.world.lock().weather = weather;
    }

    /// With a log that answers, everyone who reads has what was committed within seconds, whatever was lost before.
    async fn check_that_everyone_catches_up(&mut self) {
        self.world.note(|| "everyone catches up".to_owned());
        self.world.lock().weather = Weather::default();
        self.committer.release();
        let heads: Vec<u64> = {
            let world = self.world.lock();
            world
                .books
                .iter()
                .map(|book| book.head().position)
                .collect()
        };
        let links: Vec<_> = self.agents.iter().map(clients::healthy_link).collect();
        self.pass(4000).await;
        for (agent, before) in self.agents.iter().zip(links) {
            let is_same = before.is_some() && clients::healthy_link(agent) == before;
            if !is_same || self.has_failed() {
                continue;
            }
            if let Some(missing) = agent.first_missing(heads[agent.scope as usize]) {
                let who = agent.number;
                self.world
                    .wrong(|| format!("client {who} was not given {missing:?} in 4 s"));
            }
            if let Some(waiting) = agent.awaiting.front() {
                let who = agent.number;
                self.world
                    .wrong(|| format!("client {who} has no ack {waiting} after 4 s"));
            }
        }
    }

    /// The world heals, everyone comes back and reads; then all leave, and nothing may be left.
    async fn finish(&mut self) {
        self.world.note(|| "the world heals".to_owned());
        self.world.lock().weather = Weather::default();
        self.committer.release();
        for _ in 0..8 {
            for who in 0..self.agents.len() {
                clients::recover(self, who);
            }
            self.pass(1000).await;
            if self
                .agents
                .iter()
                .all(|agent| clients::healthy_link(agent).is_some())
            {
                break;
            }
        }
        self.committer.commit_one_for_everyone();
        self.check_that_everyone_catches_up().await;
        self.check_that_all_are_back();
        if self.has_failed() {
            return;
        }
        self.leave_all().await;
        if !self.has_failed() {
            checks::when_all_are_gone(&self.house.shards, &self.world);
        }
    }

    fn check_that_all_are_back(&self) {
        let world = self.world.lock();
        let (not_live, trouble) = (world.not_live.clone(), world.has_failed());
        drop(world);
        if trouble {
            return;
        }
        if let Some((sid, link)) = not_live.first_key_value() {
            self.world
                .wrong(|| format!("{sid} on link {link} was never told that it is live"));
        }
        for agent in &self.agents {
            if clients::healthy_link(agent).is_none() {
                self.world
                    .wrong(|| format!("client {} is not back", agent.number));
            }
        }
    }

    /// Some leave, some vanish, and in half of the runs the engine drains.
    async fn leave_all(&mut self) {
        if self.chance.percent(50) {
            self.world.note(|| "drain".to_owned());
            let engine = self.house.engine.clone();
            let drain = tokio::task::spawn_local(async move {
                engine.drain(Duration::from_secs(2)).await;
            });
            self.pass(4500).await;
            if !drain.is_finished() {
                self.world
                    .wrong(|| "a drain of 2 s lasts longer than 4 s".to_owned());
            }
            return;
        }
        for agent in &mut self.agents {
            agent.lay_ghosts();
            match self.chance.below(3) {
                0 => agent.leave(),
                1 => agent.cut(true),
                _ => agent.is_mute = true,
            }
        }
        // A silent one is found by its heartbeat; a closing one has its time.
        let settings = self.house.engine.settings();
        let patience = settings.ping_interval + settings.ping_timeout + settings.close_timeout;
        let patience = usize::try_from(patience.as_millis()).unwrap_or(0) + 1000;
        self.pass(patience.max(7000)).await;
    }
}

fn settings(character: Character, chance: &mut Chance) -> Settings {
    let mut settings = Settings {
        shards: 1 + chance.below(3),
        ping_interval: Duration::from_secs(5),
        ping_timeout: Duration::from_secs(3),
        connect_timeout: Duration::from_secs(10),
        upgrade_timeout: Duration::from_secs(4),
        close_timeout: Duration::from_secs(2),
        replay_page_records: *chance.pick(&[1, 3, 16, 128]),
        inbox_max: *chance.pick(&[2, 8, 64, 4096]),
        pipeline_max: *chance.pick(&[1, 4, 64]),
        held_max: *chance.pick(&[1, 4, 64]),
        gate_closed_max: Duration::from_millis(*chance.pick(&[10, 200, 1000])),
        read_buffer_bytes: 4096,
        ..Settings::default()
    };
    if character == Character::Slow {
        settings.outbox_bytes_max = *chance.pick(&[600, 4096, 65_536]);
        settings.outbox_frames_max = *chance.pick(&[8, 32, 1024]);
        settings.replay_low_water_bytes = *chance.pick(&[1, 500, 4096]);
    }
    settings
}
