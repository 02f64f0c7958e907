//! The HTTP routes of an app: `[http."METHOD /path/{parameter}"]`, compiled, matched without a copy.
//!
//! In go method, path, query and body, out comes a [`Request`] or the refusal. Serving HTTP, proving tokens and keys,
//! and the prefix `/{app}` are the server's.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};
use smallvec::SmallVec;

use super::command::Asker;
use super::mistake::suggestion;
use super::reader::Table;
use super::request::Request;
use super::rooms::Rooms;
use super::rule::{Compiler, Rule};
use super::schema::{FIELDS_MAX, Field, Fields};
use crate::command::Actor;
use crate::error::{Code, Error};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Paths that the server answers before it looks at an app's routes, without the slash at their end.
const RESERVED: [&str; 9] = [
    "/openapi.json",
    "/docs",
    "",
    "/socket.io",
    "/metrics",
    "/healthz",
    "/readyz",
    "/relais.css",
    "/dev/token",
];

/// Parameters out of a path, decoded, in order.
pub type Parameters<'p> = SmallVec<[Cow<'p, str>; 3]>;

/// What a method and path lead to.
#[derive(Clone, Debug)]
pub enum Match<'p> {
    /// A route, and the parameters of the path.
    Route(Arc<Route>, Parameters<'p>),
    /// The path is known under other methods: 405, with these in `Allow`.
    OtherMethods(Vec<Arc<str>>),
    /// 404.
    Unknown,
}

/// Who may call a route. Any of these suffices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Auth {
    /// The app's API key.
    pub key: bool,
    /// Any user's token.
    pub user: bool,
    /// The token of a participant of the route's room; the room's capability proves it.
    pub participant: bool,
    /// A token with one of these roles.
    pub roles: Vec<Arc<str>>,
}

/// One `[http."…"]` table.
#[derive(Debug)]
pub struct Route {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: Arc<str>,
    /// As it stands in the file.
    pub path: Arc<str>,
    /// Who may.
    pub auth: Auth,
    /// Status of the answer when all went well.
    pub status: u16,
    /// The form field of an uploaded file, where the body is `multipart/form-data`.
    pub upload: Option<Arc<str>>,
    /// Operation, fields, answer.
    pub rule: Arc<Rule>,
    segments: Vec<Segment>,
    parameters: usize,
    query: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Arc<str>),
    Parameter(Arc<str>),
}

/// All routes; those with more literal segments come first.
#[derive(Clone, Debug, Default)]
pub struct Routes(Vec<Arc<Route>>);

impl Routes {
    /// Reads `[http]`.
    pub(super) fn read<'t>(table: Option<&Table<'t>>, compiler: &Compiler<'t>) -> Self {
        let mut routes = Self::default();
        let Some(table) = table else {
            return routes;
        };
        for entry in table.named() {
            let Some(one) = Table::of(table.reader, entry) else {
                continue;
            };
            let parsed =
                parse_route(entry.key).map_err(|problem| table.note(entry.at.start, problem));
            let Ok((method, segments)) = parsed else {
                continue;
            };
            let route = Route::read((method, segments), entry.key, &one, compiler);
            one.finish();
            let Some(route) = route else {
                continue;
            };
            if let Some(twin) = routes.0.iter().find(|other| other.collides(&route)) {
                let text = format!(
                    "this route collides with \"{} {}\": one request would match both",
                    twin.method, twin.path
                );
                table.note(entry.at.start, text);
            }
            routes.0.push(Arc::new(route));
        }
        // Stable: a literal segment outranks a parameter, as far to the left as they differ.
        routes.0.sort_by_key(|route| route.precedence());
        routes
    }

    /// Every route.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.0.iter()
    }

    /// Finds the route of a request. `path` is as it stands in the request line, without the query.
    pub fn find<'p>(&self, method: &str, path: &'p str) -> Match<'p> {
        let segments: SmallVec<[&'p str; 8]> = split(path).collect();
        let mut others = Vec::new();
        for route in &self.0 {
            let Some(parameters) = route.matches(&segments) else {
                continue;
            };
            if &*route.method == method {
                return Match::Route(route.clone(), parameters);
            }
            if !others.contains(&route.method) {
                others.push(route.method.clone());
            }
        }
        match others.is_empty() {
            true => Match::Unknown,
            false => Match::OtherMethods(others),
        }
    }
}

impl Route {
    fn read<'t>(
        (method, segments): (&str, Vec<Segment>),
        key: &str,
        table: &Table<'t>,
        compiler: &Compiler<'t>,
    ) -> Option<Self> {
        let mut fields: Vec<Field> = Vec::new();
        for segment in &segments {
            if let Segment::Parameter(name) = segment {
                fields.extend(compiler.types.plain(name, "id", false));
            }
        }
        let parameters = fields.len();
        add(table, &mut fields, compiler.fields_of(table, "query"));
        let query = fields.len();
        add(table, &mut fields, compiler.fields_of(table, "body"));
        if fields.len() > query && matches!(method, "GET" | "DELETE") {
            let text = format!("a {method} request has no body; use \"query\"");
            table.note(table.at.start, text);
        }
        if fields.len() > FIELDS_MAX {
            let text = format!("a route has at most {FIELDS_MAX} fields");
            table.note(table.at.start, text);
        }
        let auth = Auth::read(table, compiler);
        let status = table.integer("status", 200..300).unwrap_or(200);
        let upload = table.text("upload").map(|(field, _)| field.into());
        let rule = Rule::read(key, table, compiler, Fields(fields))?;
        if auth.participant && table.entry("room").is_none() {
            let text = "auth \"participant\" needs \"room\": a participant of what?";
            table.note(table.at.start, text);
        }
        if upload.is_some() != rule.takes_file() {
            let text = match upload {
                Some(_) => "\"upload\" is for do = \"file.upload\" and \"item.attach\"",
                None => "this takes a file; say in which form field: upload = \"file\"",
            };
            table.note(table.at.start, text);
        }
        Some(Self {
            method: method.into(),
            path: key.split_once(' ').map_or(key, |(_, path)| path).into(),
            auth,
            status: u16::try_from(status).unwrap_or(200),
            upload,
            rule: Arc::new(rule),
            segments,
            parameters,
            query,
        })
    }

    /// Its fields, by where they come from: path, query, body.
    pub fn fields(&self) -> (&[Field], &[Field], &[Field]) {
        let all = &self.rule.fields.0;
        let (path, rest) = all.split_at(self.parameters);
        let (query, body) = rest.split_at(self.query - self.parameters);
        (path, query, body)
    }

    fn matches<'p>(&self, segments: &[&'p str]) -> Option<Parameters<'p>> {
        if segments.len() != self.segments.len() {
            return None;
        }
        let mut parameters = Parameters::new();
        for (own, given) in self.segments.iter().zip(segments) {
            match own {
                Segment::Literal(text) if **text == **given => {}
                Segment::Literal(_) => return None,
                Segment::Parameter(_) => {
                    parameters.push(decode(given, false).filter(|text| !text.is_empty())?);
                }
            }
        }
        Some(parameters)
    }

    /// Whether some path matches both, and neither is the more literal one.
    fn collides(&self, other: &Self) -> bool {
        if self.method != other.method || self.segments.len() != other.segments.len() {
            return false;
        }
        let is_literal = |segment: &Segment| matches!(segment, Segment::Literal(_));
        let pairs = || self.segments.iter().zip(&other.segments);
        let overlap = pairs().all(|(a, b)| !is_literal(a) || !is_literal(b) || a == b);
        let (mut more, mut less) = (false, false);
        for (a, b) in pairs() {
            more |= is_literal(a) && !is_literal(b);
            less |= !is_literal(a) && is_literal(b);
        }
        overlap && more == less
    }

    fn precedence(&self) -> Vec<bool> {
        let is_parameter = |segment: &Segment| matches!(segment, Segment::Parameter(_));
        self.segments.iter().map(is_parameter).collect()
    }

    /// Whether the asking actor may call this route. `Forbidden` where another kind of actor may, or another role.
    pub fn permit(&self, actor: &Actor) -> Result<(), Error> {
        let may = match actor {
            Actor::Backend => self.auth.key,
            Actor::User(identity) => {
                let role = identity.person.role.as_ref();
                self.auth.user
                    || self.auth.participant
                    || role.is_some_and(|role| self.auth.roles.contains(role))
            }
        };
        if may {
            return self.rule.permit(actor);
        }
        let text = format!("unable to call \"{}\"; {}", self.rule.subject, self.auth);
        Err(Error::new(Code::Forbidden, text))
    }

    /// The command of a request. `query` is raw (`a=b&c=d`); `body` is the parsed JSON, if there was one.
    pub(super) fn request(
        &self,
        rooms: &Arc<Rooms>,
        parameters: &Parameters<'_>,
        query: &str,
        body: Option<&Value>,
        asker: Asker<'_>,
    ) -> Result<Request, Error> {
        self.permit(asker.actor)?;
        let subject = &*self.rule.subject;
        let empty = Map::new();
        let body = match body {
            None | Some(Value::Null) => &empty,
            Some(Value::Object(body)) => body,
            Some(_) => {
                let text =
                    format!("unable to take \"{subject}\"; the body has to be a JSON object");
                return Err(Error::new(Code::InvalidPayload, text));
            }
        };
        let values = self
            .rule
            .fields
            .check(subject, Some(body), |index, field| {
                if index < self.parameters {
                    let text = parameters.get(index)?;
                    Some(Cow::Owned(Value::from(&**text)))
                } else if index < self.query {
                    let text = query_value(query, &field.name)?;
                    Some(Cow::Owned(typed(&text, field)))
                } else {
                    body.get(&*field.name).map(Cow::Borrowed)
                }
            })?;
        self.rule.request(rooms, asker, &values)
    }
}

/// Adds fields whose names are not taken: path, query and body share one namespace.
fn add(table: &Table<'_>, fields: &mut Vec<Field>, more: Vec<Field>) {
    for field in more {
        if fields.iter().any(|known| known.name == field.name) {
            let text = format!("field \"{}\" is in path, query or body twice", field.name);
            table.note(table.at.start, text);
        } else {
            fields.push(field);
        }
    }
}

impl Auth {
    fn read(table: &Table<'_>, compiler: &Compiler<'_>) -> Self {
        let mut auth = Self::default();
        let Some(texts) = table.texts("auth") else {
            let text = "\"auth\" is missing; for example auth = [\"key\", \"user\"]";
            table.note(table.at.start, text);
            return auth;
        };
        if texts.is_empty() {
            table.note(
                table.at.start,
                "\"auth\" is empty, so nobody may call this route",
            );
        }
        for (who, at) in texts {
            match who.split_once(':').unwrap_or((who, "")) {
                ("key", "") => auth.key = true,
                ("user", "") => auth.user = true,
                ("participant", "") => auth.participant = true,
                ("role", role) if compiler.roles.contains(&role) => auth.roles.push(role.into()),
                ("role", role) => {
                    let help = suggestion(role, compiler.roles.iter().copied());
                    table.note(at, format!("unknown role \"{role}\"{help}"));
                }
                _ => {
                    let help = suggestion(who, ["key", "user", "participant", "role:NAME"]);
                    table.note(at, format!("unknown \"auth\" \"{who}\"{help}"));
                }
            }
        }
        auth
    }
}

impl std::fmt::Display for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut words: Vec<String> = Vec::new();
        if self.key {
            words.push("an API key".into());
        }
        if self.user {
            words.push("a user's token".into());
        }
        if self.participant {
            words.push("a participant's token".into());
        }
        words.extend(self.roles.iter().map(|role| format!("the role \"{role}\"")));
        write!(f, "it takes {}", words.join(" or "))
    }
}

/// `GET /bams/{bamId}` in its parts.
fn parse_route(key: &str) -> Result<(&str, Vec<Segment>), String> {
    let Some((method, path)) = key.split_once(' ') else {
        return Err(format!(
            "\"{key}\" is not a route; write \"GET /path/{{parameter}}\""
        ));
    };
    if !METHODS.contains(&method) {
        let help = suggestion(method, METHODS);
        return Err(format!("unknown method \"{method}\"{help}"));
    }
    if !path.starts_with('/') || path.contains(['?', '#', ' ']) {
        return Err(format!(
            "\"{path}\" is not a path; it begins with \"/\" and has no query"
        ));
    }
    if path == "/v1" || path.starts_with("/v1/") {
        return Err(format!(
            "\"{path}\" is below \"/v1\", where every app has its server-to-server API"
        ));
    }
    let is_of_files = path
        .strip_prefix("/files")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if is_of_files || RESERVED.contains(&path.strip_suffix('/').unwrap_or(path)) {
        return Err(format!(
            "\"{path}\" is a path that every server answers itself"
        ));
    }
    let mut segments: Vec<Segment> = Vec::new();
    for part in split(path) {
        let segment = match part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'))
        {
            Some(name) if !name.is_empty() && !name.contains(['{', '}']) => {
                Segment::Parameter(name.into())
            }
            Some(_) => {
                return Err(format!(
                    "\"{part}\" is not a parameter; write \"{{roomId}}\""
                ));
            }
            None if part.contains(['{', '}']) => {
                return Err(format!(
                    "\"{part}\": a parameter is a whole segment, \"/{{roomId}}/\""
                ));
            }
            None => Segment::Literal(part.into()),
        };
        if matches!(segment, Segment::Parameter(_)) && segments.contains(&segment) {
            return Err(format!("parameter \"{part}\" is there twice"));
        }
        segments.push(segment);
    }
    Ok((method, segments))
}

/// Segments of a path; a slash at the end makes none.
fn split(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/')
}

/// The first value of a name in a raw query.
fn query_value<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key, true)? == name)
            .then(|| decode(value, true))
            .flatten()
    })
}

/// A text of the query as what the field's schema wants: texts carry no types.
fn typed(text: &str, field: &Field) -> Value {
    let types = field.types().unwrap_or_default();
    if types.contains(&"integer")
        && !types.contains(&"string")
        && let Ok(number) = text.parse::<i64>()
    {
        return number.into();
    }
    match text {
        "true" | "1" if types == ["boolean"] => true.into(),
        "false" | "0" if types == ["boolean"] => false.into(),
        _ => text.into(),
    }
}

/// Undoes percent-encoding (and `+` in queries); `None` where it is broken or no UTF-8.
pub fn decode(text: &str, plus: bool) -> Option<Cow<'_, str>> {
    let encoded = text.contains('%') || (plus && text.contains('+'));
    if !encoded {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' if plus => b' ',
            other => other,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}
