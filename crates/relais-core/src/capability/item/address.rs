//! The field of an item that holds an address: of another server, or of a file that was uploaded here before there was an item.
//!
//! An upload has the id of the item that it may become. Nothing of it is remembered: its address says what it is, and proves it. An item
//! that is created with such an address is the upload's, has its file, and keeps a reference to the file in the place of the address,
//! which ends; whoever shows the item makes a fresh one of the reference. What a reference or an address is made of is the port's.

use super::{ItemKind, may_create, refuse};
use crate::capability::facts;
use crate::command::{Actor, ItemRequest};
use crate::error::{Code, Error};
use crate::event::Facts;
use crate::ports::{Address, Uploaded};
use serde_json::json;

/// What a reference to a file of an item begins with; the file's path follows.
pub const REFERENCE: &str = "/files/";

/// The answer to an upload, which nothing shows yet: `{file}`.
pub fn upload(kind: &ItemKind, request: &ItemRequest, actor: &Actor) -> Result<Facts, Error> {
    may_create(request, actor)?;
    if kind.address.is_none() {
        let problem = "it has no field for its address";
        return Err(refuse(request, Code::InvalidState, problem));
    }
    let Some(file) = &request.file else {
        let problem = "there is no file";
        return Err(refuse(request, Code::InvalidPayload, problem));
    };
    Ok(facts::object(json!({ "file": facts::file(file) })))
}

/// The address that a request gives an item, if it gives one.
pub fn given_address<'r>(
    kind: &ItemKind,
    request: &'r ItemRequest,
) -> Result<Option<&'r str>, Error> {
    let name = kind.address.as_ref();
    match name.and_then(|name| request.fields.get(&**name)) {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(given) => match given.as_str() {
            Some(address) => Ok(Some(address)),
            None => Err(not_one(request)),
        },
    }
}

/// The request with what its address has turned out to be. Of an upload an item is created under the upload's id, with the file; an item
/// that is there may be given the address of its own file again.
pub fn addressed(
    kind: &ItemKind,
    request: &ItemRequest,
    address: Address,
) -> Result<ItemRequest, Error> {
    let mut request = request.clone();
    match address {
        Address::Https => Ok(request),
        Address::Unknown => Err(not_one(&request)),
        Address::Upload(Uploaded { item, file, .. }) => {
            if request.id.as_ref().is_some_and(|id| *id != item) {
                let problem = "the upload is for another one";
                return Err(refuse(&request, Code::InvalidPayload, problem));
            }
            if let Some(name) = &kind.address {
                let reference = format!("{REFERENCE}{}", file.path);
                request.fields.insert(name.to_string(), reference.into());
            }
            request.id = Some(item);
            request.file = Some(file);
            Ok(request)
        }
    }
}

/// The upload may be gone before the item is there.
pub fn too_late(request: &ItemRequest) -> Error {
    let problem = "the upload was not used in time; upload the file again";
    refuse(request, Code::InvalidPayload, problem)
}

fn not_one(request: &ItemRequest) -> Error {
    let problem =
        "its address has to begin with https://, or to be that of an upload whose time is not over";
    refuse(request, Code::InvalidPayload, problem)
}
