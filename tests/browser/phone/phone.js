'use strict';
// The web phone: registers over WebSocket with JsSIP, calls and is called, and shows what the call measures.
//
// The query of its address sets the account: ?user=1001&password=…&server=wss://host:8089/ws (&answer=1 takes calls
// by itself, &register=0 waits for the form). What a test reads is in `window.phone`.
const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const phone = { registered: null, error: null, session: null, measure: null, ended: null };
window.phone = phone;

const LETTERS = { 2: 'ABC', 3: 'DEF', 4: 'GHI', 5: 'JKL', 6: 'MNO', 7: 'PQRS', 8: 'TUV', 9: 'WXYZ', 0: '+' };
const MILESTONES = [['registered', 'registered'], ['ice', 'ICE connected'], ['dtls', 'DTLS connected'], ['media', 'first media']];
const packets = new Graph($('packets'), { series: ['sent', 'received'], unit: '/s', least: 10 });
const roundtrip = new Graph($('roundtrip'), { series: ['rtcp', 'stun'], unit: ' ms', least: 1 });

function show(state, text) {
  $('state').dataset.state = state;
  $('state').textContent = text;
  $('call').disabled = state === 'busy' || state === 'talking';
  $('hangup').disabled = state === 'idle' || state === 'failed';
}

function milestones(times) {
  $('milestones').replaceChildren(...MILESTONES.map(([name, text]) => {
    const item = document.createElement('li');
    const time = document.createElement('b');
    time.textContent = times[name] === undefined ? '–' : `${Math.round(times[name])} ms`;
    item.className = times[name] === undefined ? '' : 'reached';
    item.append(time, text);
    return item;
  }));
}

function facts(rows) {
  $('facts').replaceChildren(...Object.entries(rows).flatMap(([term, text]) => {
    const [dt, dd] = [document.createElement('dt'), document.createElement('dd')];
    dt.textContent = term;
    dd.textContent = text ?? '–';
    return [dt, dd];
  }));
}

function register({ user, password, server }) {
  phone.agent?.stop();
  Object.assign(phone, { registered: null, error: null });
  const pill = (state, text) => Object.assign($('registration'), { textContent: text }).dataset.state = state;
  $('server').textContent = `${user} at ${server}`;
  pill('off', 'connecting');
  const begun = performance.now();
  const agent = phone.agent = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(server)],
    uri: `sip:${user}@${new URL(server).hostname}`,
    authorization_user: user,
    password,
    register_expires: 300,
    session_timers: false,
  });
  agent.on('registered', () => {
    phone.registered ??= performance.now() - begun;
    pill('on', `registered in ${Math.round(phone.registered)} ms`);
    milestones({ registered: phone.registered, ...phone.measure?.times });
  });
  agent.on('registrationFailed', ({ cause }) => pill('failed', phone.error = `not registered: ${cause}`));
  agent.on('disconnected', ({ error, reason }) => {
    if (error) pill('failed', phone.error = `no connection to the server${reason ? `: ${reason}` : ''}`);
  });
  agent.on('newRTCSession', ({ originator, session }) => adopt(session, originator === 'remote'));
  agent.start();
}

// The page's choices of codecs become the transceivers' preferences just before an offer is made.
function prefer(connection) {
  const choice = { audio: $('codec').value.toLowerCase(), video: $('video').value.toLowerCase() };
  const beside = { audio: ['audio/telephone-event'], video: ['video/rtx'] };
  const createOffer = connection.createOffer.bind(connection);
  connection.createOffer = (options) => {
    for (const transceiver of connection.getTransceivers()) {
      const { kind } = transceiver.receiver.track;
      if (!choice[kind] || choice[kind] === 'any') continue;
      transceiver.setCodecPreferences(RTCRtpReceiver.getCapabilities(kind).codecs.filter(({ mimeType }) =>
        [`${kind}/${choice[kind]}`, ...beside[kind]].includes(mimeType.toLowerCase())));
    }
    return createOffer(options);
  };
}

function adopt(session, incoming) {
  if (phone.session) return session.terminate({ status_code: 486 });
  Object.assign(phone, { session, ended: null, measure: null });
  packets.clear();
  roundtrip.clear();
  const begun = performance.now();
  const meet = (connection) => {
    prefer(connection);
    phone.measure = new Measure(connection, begun);
    connection.addEventListener('track', ({ track }) => {
      const stream = new MediaStream([track]);
      $(track.kind === 'audio' ? 'speaker' : 'theirs').srcObject = stream;
    });
  };
  if (session.connection) meet(session.connection);
  else session.on('peerconnection', ({ peerconnection }) => meet(peerconnection));
  session.on('progress', () => show('busy', incoming ? 'Somebody is calling' : 'Ringing'));
  session.on('confirmed', () => talk());
  session.on('ended', ({ cause }) => finish('idle', `Ended: ${cause}`));
  session.on('failed', ({ cause, message }) => finish('failed', `${cause}${message?.status_code ? ` (${message.status_code})` : ''}`));
  if (incoming) {
    $('target').value = session.remote_identity.uri.user;
    $('hangup').disabled = false;
    show('busy', 'Somebody is calling');
    $('call').disabled = false;
    $('call').textContent = 'Answer';
    if (query.get('answer')) answer();
  } else {
    show('busy', 'Calling');
  }
}

const wanted = () => ({ mediaConstraints: { audio: true, video: Boolean($('video').value) }, pcConfig: { iceServers: [], bundlePolicy: 'balanced' } });

function answer() {
  phone.session.answer(wanted());
  $('call').textContent = 'Call';
}

function call() {
  if (phone.session) return answer();
  try {
    phone.agent.call($('target').value, wanted());
  } catch (error) {
    show('failed', error.message);
  }
  return undefined;
}

function talk() {
  show('talking', 'Connected');
  const begun = performance.now();
  $('pictures').hidden = !$('video').value;
  if ($('video').value) $('mine').srcObject = new MediaStream(phone.session.connection.getSenders().map(({ track }) => track).filter((track) => track?.kind === 'video'));
  let before = null;
  phone.timer = setInterval(async () => {
    const seconds = Math.floor((performance.now() - begun) / 1000);
    $('clock').textContent = `${String(Math.floor(seconds / 60)).padStart(2, '0')}:${String(seconds % 60).padStart(2, '0')}`;
    const { measure } = phone;
    if (!measure || measure.connection.connectionState === 'closed') return;
    const now = await measure.sample();
    $('level').firstElementChild.style.width = `${Math.min(100, Math.sqrt(now.audio.level) * 100)}%`;
    milestones({ registered: phone.registered, ...measure.times });
    facts({
      Codec: [now.audio.codec, now.video.sent ? now.video.codec : null].filter(Boolean).join(', ') || null,
      Packets: `${now.audio.sent + now.video.sent} sent, ${now.audio.received + now.video.received} received, ${now.audio.lost + now.video.lost} lost`,
      DTLS: now.tls && `${now.tls}, ${now.dtlsRole}`,
      'DTLS cipher': now.dtlsCipher,
      ICE: now.ice && `${now.ice}, ${now.role}`,
      'SRTP cipher': now.srtpCipher,
      'Candidate pair': now.pair,
      Jitter: now.audio.jitter === null ? null : `${(now.audio.jitter * 1000).toFixed(1)} ms`,
    });
    if (before) {
      const rate = (name) => ((now.audio[name] + now.video[name] - before.audio[name] - before.video[name]) * 1000) / (now.time - before.time);
      packets.add(now.time, [rate('sent'), rate('received')]);
      const milliseconds = (value) => (value === null ? null : value * 1000);
      roundtrip.add(now.time, [milliseconds(now.audio.rtt), milliseconds(now.stun)]);
    }
    before = now;
  }, 500);
}

function finish(state, text) {
  clearInterval(phone.timer);
  Object.assign(phone, { session: null, ended: text });
  $('call').textContent = 'Call';
  $('level').firstElementChild.style.width = '0';
  show(state, text);
}

for (const key of '123456789*0#') {
  const button = document.createElement('button');
  button.append(key, Object.assign(document.createElement('small'), { textContent: LETTERS[key] ?? '\u00a0' }));
  button.addEventListener('click', () => {
    if (phone.session?.isEstablished()) phone.session.sendDTMF(key, { transportType: 'RFC2833' });
    else $('target').value += key;
  });
  $('keys').append(button);
}
$('call').addEventListener('click', call);
$('target').addEventListener('keydown', ({ key }) => key === 'Enter' && !$('call').disabled && call());
$('hangup').addEventListener('click', () => phone.session?.terminate());
$('mute').addEventListener('change', ({ target }) => phone.session?.[target.checked ? 'mute' : 'unmute']({ audio: true }));

const form = $('account').querySelector('form');
form.user.value = query.get('user') ?? form.user.value;
form.password.value = query.get('password') ?? '';
form.server.value = query.get('server') ?? `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`;
form.addEventListener('submit', (event) => {
  event.preventDefault();
  register(Object.fromEntries(new FormData(form)));
});
$('account').open = !form.password.value;
milestones({});
facts({ Codec: null, Packets: null, DTLS: null, 'DTLS cipher': null, ICE: null, 'SRTP cipher': null, 'Candidate pair': null, Jitter: null });
if (form.password.value && query.get('register') !== '0') register(Object.fromEntries(new FormData(form)));
