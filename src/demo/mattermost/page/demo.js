// The page of the stand-in. It does what the real web app does where a bridge is concerned:
// MMUSERID in document.cookie means "signed in", MMCSRF is read once, a 401 in bare JSON deletes
// both and goes to "/", the socket resumes with connection_id and sequence_number.
'use strict';

const byId = (id) => document.getElementById(id);
const cookie = (name) => {
  const found = document.cookie.split('; ').find((pair) => pair.startsWith(name + '='));
  return found ? found.slice(name.length + 1) : '';
};

const csrf = cookie('MMCSRF');
const names = new Map();
let channelId = '';
let leaving = false;
// Asked once a minute and after each reconnect, as the real web app does.
let status = () => {};

function leave() {
  if (leaving) return;
  leaving = true;
  for (const name of ['MMUSERID', 'MMCSRF']) {
    document.cookie = name + '=; expires=Thu, 01 Jan 1970 00:00:00 GMT; path=/';
  }
  location.assign('/' + location.search);
}

async function call(method, path, body) {
  const headers = {'X-Requested-With': 'XMLHttpRequest'};
  if (method !== 'GET' && csrf) headers['X-CSRF-Token'] = csrf;
  if (body && !(body instanceof FormData)) {
    headers['Content-Type'] = 'application/json';
    body = JSON.stringify(body);
  }
  const response = await fetch('/api/v4' + path, {method, headers, body, credentials: 'include'});
  // Exact, as in the real client: any other content type is not understood.
  const json = response.headers.get('Content-Type') === 'application/json';
  const data = json ? await response.json() : null;
  if (response.ok) return data;
  if (data && data.status_code === 401 && !path.includes('/login')) leave();
  throw new Error((data && data.message) || 'The server answered ' + response.status + '.');
}

function note(text) {
  byId('note').textContent = text;
}

async function nameOf(userId) {
  if (!names.has(userId)) {
    names.set(userId, userId);
    const found = await call('POST', '/users/ids', [userId]).catch(() => []);
    for (const user of found) names.set(user.id, user.username);
  }
  return names.get(userId);
}

async function show(post) {
  if (post.channel_id !== channelId || document.querySelector('[data-post="' + post.id + '"]')) return;
  const item = document.createElement('li');
  item.dataset.post = post.id;
  const author = document.createElement('b');
  const text = document.createElement('span');
  text.textContent = post.message;
  item.append(author, text);
  for (const file of (post.metadata && post.metadata.files) || []) {
    const link = document.createElement('a');
    link.href = '/api/v4/files/' + file.id;
    link.textContent = ' ' + file.name + ' (' + file.size + ' bytes)';
    item.append(link);
  }
  const list = byId('posts');
  list.append(item);
  list.scrollTop = list.scrollHeight;
  author.textContent = await nameOf(post.user_id);
}

async function refresh() {
  const found = await call('GET', '/channels/' + channelId + '/posts');
  for (const id of found.order.slice().reverse()) await show(found.posts[id]);
}

let connectionId = '';
let sequence = 0;
let replies = 1;

function connect(error) {
  const scheme = location.protocol === 'https:' ? 'wss://' : 'ws://';
  const query = '?connection_id=' + connectionId + '&sequence_number=' + sequence + '&posted_ack=true' +
    (error ? '&disconnect_err_code=' + error : '');
  const socket = new WebSocket(scheme + location.host + '/api/v4/websocket' + query);
  const state = byId('socket-state');
  let pinging;
  state.textContent = 'connecting';
  socket.onopen = () => {
    state.textContent = 'open';
    const ping = () => socket.send(JSON.stringify({action: 'ping', seq: replies++}));
    ping();
    pinging = setInterval(ping, 30000);
    if (error) {
      refresh().catch(() => {});
      status();
    }
  };
  socket.onmessage = (message) => {
    const data = JSON.parse(message.data);
    if (data.seq_reply !== undefined || data.event === undefined) return;
    if (data.event === 'hello' && data.data.connection_id !== connectionId) {
      connectionId = data.data.connection_id;
      sequence = 0;
    }
    if (data.seq !== sequence) {
      socket.close(4001);
      return;
    }
    sequence = data.seq + 1;
    if (data.event === 'posted') show(JSON.parse(data.data.post));
  };
  socket.onclose = (event) => {
    clearInterval(pinging);
    state.textContent = 'closed';
    if (!leaving) setTimeout(connect, 4000, event.code);
  };
}

async function start() {
  const me = await call('GET', '/users/me');
  names.set(me.id, me.username);
  const full = [me.first_name, me.last_name].filter(Boolean).join(' ');
  byId('me').textContent = (full ? full + ' ' : '') + '(@' + me.username + ')';
  byId('roles').textContent = me.roles;
  byId('app').hidden = false;
  const teams = await call('GET', '/users/me/teams');
  if (teams.length === 0) {
    note('You are in no team yet.');
    byId('send').disabled = true;
    byId('upload').disabled = true;
  } else {
    byId('team').textContent = teams[0].display_name;
    const channels = await call('GET', '/users/me/teams/' + teams[0].id + '/channels');
    const channel = channels.find((one) => one.name === 'town-square') || channels[0];
    channelId = channel.id;
    byId('channel').textContent = channel.display_name;
    await refresh();
    call('POST', '/channels/members/me/view', {channel_id: channelId, prev_channel_id: ''}).catch(() => {});
    status = () => call('POST', '/users/status/ids', [me.id]).catch(() => {});
    setInterval(status, 60000);
  }
  connect();
}

byId('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const field = byId('message');
  try {
    await show(await call('POST', '/posts', {channel_id: channelId, message: field.value}));
    field.value = '';
    note('');
  } catch (error) {
    note(error.message);
  }
});

byId('upload').addEventListener('change', async (event) => {
  const file = event.target.files[0];
  if (!file) return;
  const form = new FormData();
  form.append('channel_id', channelId);
  form.append('client_ids', 'demo');
  form.append('files', file, file.name);
  try {
    note('Uploading…');
    const stored = await call('POST', '/files', form);
    const ids = stored.file_infos.map((info) => info.id);
    await show(await call('POST', '/posts', {channel_id: channelId, message: '', file_ids: ids}));
    note('');
  } catch (error) {
    note(error.message);
  }
  event.target.value = '';
});

byId('logout').addEventListener('click', async () => {
  try {
    await call('POST', '/users/logout');
    localStorage.setItem('__logout__', String(Date.now()));
    leave();
  } catch (error) {
    note(error.message);
  }
});

// The real web app tells its other tabs this way, too.
addEventListener('storage', (event) => {
  if (event.key === '__logout__') leave();
});

if (cookie('MMUSERID')) {
  start().catch((error) => {
    if (leaving) return;
    // As the real app: a first call that fails shows the login page and deletes nothing.
    byId('login').hidden = byId('app').hidden === false;
    note(error.message);
  });
} else {
  byId('login').hidden = false;
}
