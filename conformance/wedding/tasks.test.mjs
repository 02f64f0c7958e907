//! Tasks: made and changed, by whom, told once, with a word to a new assignee.

import test from 'node:test';
import assert from 'node:assert/strict';
import { unique } from '../lib/bam.mjs';
import { Wedding, assertFields, assertStored } from '../lib/wedding.mjs';

const TASK = ['id', 'title', 'status', 'assignedTo', 'dueDate', 'notes', 'createdAt', 'updatedAt'];

/** A planner with two sessions, a guest with two, and somebody else. */
async function table(t) {
  const wedding = new Wedding(t);
  const [planning, helping] = [wedding.person('Jo', 'planner'), wedding.person('Odile')];
  const [jo, jo2] = [await wedding.arrive(planning), await wedding.arrive(planning)];
  const [odile, odile2] = [await wedding.arrive(helping), await wedding.arrive(helping)];
  const max = await wedding.arrive('Max');
  return { wedding, jo, jo2, odile, odile2, max, everybody: [jo, jo2, odile, odile2, max] };
}

test('without a taskId a task is made, and the whole wedding is told', async (t) => {
  const { jo, everybody } = await table(t);
  const answer = await jo.ok('task_update', { updates: { title: 'Cake', dueDate: '2027-06-01', notes: 'three floors' } });
  assertFields(answer, 'success', 'task');
  const { task } = answer;
  assertFields(task, ...TASK);
  assertStored(task);
  const { id, createdAt, updatedAt, ...rest } = task;
  assert.equal(updatedAt, createdAt);
  assert.deepEqual(rest, { title: 'Cake', status: 'todo', assignedTo: null, dueDate: '2027-06-01', notes: 'three floors' });
  for (const guest of everybody) {
    assert.deepEqual(await guest.heard('task_updated'), [{ task, updatedBy: jo.id }]);
    assert.deepEqual(guest.all('task_assigned'), []);
  }
});

test('with a taskId it is changed: what is named is replaced, the rest stays, null clears', async (t) => {
  const { jo, odile, max } = await table(t);
  const made = await jo.task({ title: 'Cake', dueDate: '2027-06-01', notes: 'three floors' });
  const moved = await jo.task({ status: 'in_progress' }, { taskId: made.id });
  assert.deepEqual({ ...moved, updatedAt: made.updatedAt }, { ...made, status: 'in_progress' });
  const cleared = await jo.task({ dueDate: null, notes: 'two floors' }, { taskId: made.id });
  assert.deepEqual({ ...cleared, updatedAt: made.updatedAt }, { ...made, status: 'in_progress', dueDate: null, notes: 'two floors' });
  const expected = [made, moved, cleared].map((task) => ({ task, updatedBy: jo.id }));
  for (const guest of [odile, max]) assert.deepEqual(await guest.heard('task_updated'), expected);
});

test('fields, status and assignee in one update are one change, told once', async (t) => {
  const { jo, odile, everybody } = await table(t);
  const { id: taskId } = await jo.task({ title: 'Cake' });
  const task = await jo.task({ title: 'Big cake', status: 'in_progress', assignedTo: odile.id, notes: 'now' }, { taskId });
  assert.deepEqual([task.title, task.status, task.assignedTo, task.notes], ['Big cake', 'in_progress', odile.id, 'now']);
  for (const guest of everybody) {
    assert.deepEqual((await guest.heard('task_updated')).slice(1), [{ task, updatedBy: jo.id }]);
  }
});

test('only a new assignee gets task_assigned, in every session, once', async (t) => {
  const { jo, jo2, odile, odile2, max } = await table(t);
  const task = await jo.task({ title: 'Cake', assignedTo: odile.id });
  assert.equal(task.assignedTo, odile.id);
  const told = { task, message: 'Cake', assignedBy: jo.id };
  for (const guest of [odile, odile2]) assert.deepEqual(await guest.heard('task_assigned'), [told]);
  // The same assignee again, and another change: no news for them.
  await jo.task({ assignedTo: odile.id }, { taskId: task.id });
  await jo.task({ notes: 'x', assignedTo: odile.id }, { taskId: task.id });
  const handed = await jo.task({ assignedTo: max.id }, { taskId: task.id });
  assert.deepEqual(await max.heard('task_assigned'), [{ task: handed, message: 'Cake', assignedBy: jo.id }]);
  const taken = await jo.task({ assignedTo: null }, { taskId: task.id });
  assert.equal(taken.assignedTo, null);
  for (const guest of [odile, odile2]) assert.deepEqual(await guest.heard('task_assigned'), [told]);
  for (const guest of [jo, jo2]) assert.deepEqual(await guest.heard('task_assigned'), []);
  assert.equal((await max.heard('task_assigned')).length, 1);
  assert.equal((await max.heard('task_updated')).length, 4, 'made, notes, handed over, taken away');
});

test('couple, planner and admin may make and change tasks, others may not', async (t) => {
  const { wedding, jo, odile, max } = await table(t);
  const { id: taskId } = await jo.task({ title: 'Cake' });
  for (const role of ['couple', 'admin', 'planner']) {
    const guest = await wedding.arrive(role, role);
    await guest.task({ title: `Of ${role}` });
    await guest.task({ notes: role }, { taskId });
  }
  const others = [odile, max, await wedding.dj(), await wedding.arrive('Emma', 'emperor')];
  for (const guest of others) {
    await guest.refused('FORBIDDEN', 'task_update', { updates: { title: 'Mine' } });
    await guest.refused('FORBIDDEN', 'task_update', { taskId, updates: { status: 'done' } });
  }
});

test('the assignee may change the task as long as it is theirs', async (t) => {
  const { jo, odile, odile2, max } = await table(t);
  const { id: taskId } = await jo.task({ title: 'Cake', assignedTo: odile.id });
  const done = await odile2.task({ status: 'done' }, { taskId });
  assert.equal(done.status, 'done');
  assert.deepEqual((await max.heard('task_updated')).at(-1), { task: done, updatedBy: odile.id });
  await odile.refused('FORBIDDEN', 'task_update', { updates: { title: 'A task of my own' } });
  await jo.task({ assignedTo: max.id }, { taskId });
  await odile.refused('FORBIDDEN', 'task_update', { taskId, updates: { notes: 'still mine' } });
  await max.task({ status: 'todo' }, { taskId });
});

test('a status moves as declared, and a change that changes nothing is told to nobody', async (t) => {
  const { jo, max } = await table(t);
  const { id: taskId } = await jo.task({ title: 'Cake', status: 'cancelled' });
  for (const status of ['done', 'in_progress']) await jo.refused('INVALID_STATE', 'task_update', { taskId, updates: { status } });
  const before = await jo.task({ status: 'cancelled', title: 'Cake' }, { taskId });
  assert.deepEqual((await max.heard('task_updated')).length, 1);
  assert.deepEqual((await jo.ok('get_tasks', {})).tasks, [before]);
  await jo.task({ status: 'todo' }, { taskId });
});

test('a task has a title, and nothing that is no task is told of', async (t) => {
  const { jo, max } = await table(t);
  for (const updates of [{}, { status: 'todo' }, { notes: 'x', dueDate: null, assignedTo: max.id }]) await jo.refused('INVALID_PAYLOAD', 'task_update', { updates });
  assert.deepEqual([await max.heard('task_updated'), await max.heard('task_assigned')], [[], []]);
  const { id: taskId } = await jo.task({ title: 'Cake' });
  await jo.refused('INVALID_PAYLOAD', 'task_update', { taskId, updates: { title: null } });
  assert.equal((await jo.task({ notes: 'x' }, { taskId })).title, 'Cake');
});

test('a task that is not there is NOT_FOUND', async (t) => {
  const { jo, odile } = await table(t);
  const taskId = '00000000-0000-7000-8000-000000000000';
  await jo.refused('NOT_FOUND', 'task_update', { taskId, updates: { title: 'x' } });
  await odile.refused('NOT_FOUND', 'task_update', { taskId, updates: { title: 'x' } });
  const song = await odile.song();
  await jo.refused('NOT_FOUND', 'task_update', { taskId: song.id, updates: { title: 'x' } });
});

test('changes of several people at once are all kept, and told in one order', async (t) => {
  const { wedding, jo, odile, max } = await table(t);
  const camille = await wedding.arrive('Camille', 'couple');
  const { id: taskId } = await jo.task({ title: 'Cake', assignedTo: odile.id });
  const changes = [[jo, { notes: 'by Jo' }], [camille, { dueDate: '2027-01-01' }], [odile, { status: 'in_progress' }]];
  await Promise.all(changes.map(([guest, updates]) => guest.task(updates, { taskId })));
  const [kept] = (await max.ok('get_tasks', {})).tasks;
  assert.deepEqual([kept.notes, kept.dueDate, kept.status], ['by Jo', '2027-01-01', 'in_progress']);
  const told = await max.heard('task_updated');
  assert.equal(told.length, 4);
  assert.deepEqual(told.at(-1).task, kept);
  assert.deepEqual(await jo.heard('task_updated'), told);
});

test('a tempId stands for one task', async (t) => {
  const { jo, max } = await table(t);
  const tempId = unique('temp');
  const made = await Promise.all([1, 2, 3].map(() => jo.task({ title: 'Cake' }, { tempId })));
  for (const task of made) assert.deepEqual(task, made[0]);
  await jo.refused('IDEMPOTENCY_CONFLICT', 'task_update', { tempId, updates: { title: 'Other' } });
  assert.equal((await max.heard('task_updated')).length, 1);
});

test('everybody reads the tasks, newest first, page by page', async (t) => {
  const { jo, max } = await table(t);
  const made = [];
  for (let n = 0; n < 5; n += 1) made.unshift(await jo.task({ title: `${n}` }));
  const page = await max.ok('get_tasks', {});
  assertFields(page, 'success', 'tasks', 'hasMore');
  assert.deepEqual([page.tasks, page.hasMore], [made, false]);
  const first = await max.ok('get_tasks', { limit: 2 });
  assert.deepEqual([first.tasks, first.hasMore], [made.slice(0, 2), true]);
  const second = await max.ok('get_tasks', { limit: 3, before: made[1].id });
  assert.deepEqual([second.tasks, second.hasMore], [made.slice(2), false]);
});
