'use strict';
// What getStats() and the transports' events say of one call: when it reached each milestone, and its counters.
class Measure {
  constructor(connection, begun = performance.now()) {
    Object.assign(this, { connection, begun, times: {}, history: [], loudest: 0 });
    connection.addEventListener('track', (event) => this.watch(event));
  }

  // Milliseconds since the call began, kept for the first time only.
  mark(name) {
    this.times[name] ??= Math.round((performance.now() - this.begun) * 10) / 10;
  }

  watch({ receiver, track }) {
    const dtls = receiver.transport;
    if (dtls && !this.dtls) {
      this.dtls = dtls;
      const look = () => {
        if (['connected', 'completed'].includes(dtls.iceTransport.state)) this.mark('ice');
        if (dtls.state === 'connected') this.mark('dtls');
      };
      dtls.addEventListener('statechange', look);
      dtls.iceTransport.addEventListener('statechange', look);
      look();
    }
    if (track.kind === 'audio') {
      // The track unmutes with its first packet; the poll sees the packet before its sound.
      track.addEventListener('unmute', () => this.mark('media'));
      this.seek(receiver);
    }
  }

  async seek(receiver) {
    while (!this.times.media && this.connection.connectionState !== 'closed') {
      for (const report of (await receiver.getStats()).values()) {
        if (report.type === 'inbound-rtp' && report.packetsReceived > 0) this.mark('media');
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    // What was sent and did not come back within the first second was lost before the call was connected; at any moment
    // a packet or two are under way, so the least difference counts.
    this.head = Infinity;
    for (let look = 0; look < 15; look += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      if (this.connection.connectionState === 'closed') return;
      const { audio } = await this.sample();
      this.head = Math.min(this.head, Math.max(0, audio.sent - audio.received));
    }
  }

  // One reading of all counters.
  async sample() {
    const reports = [...(await this.connection.getStats()).values()];
    const of = (type, kind) => reports.find((report) => report.type === type && (!kind || report.kind === kind));
    const byId = (id) => reports.find((report) => report.id === id);
    const stream = (kind) => {
      const out = of('outbound-rtp', kind);
      const back = of('inbound-rtp', kind);
      const remote = of('remote-inbound-rtp', kind);
      return {
        sent: out?.packetsSent ?? 0,
        received: back?.packetsReceived ?? 0,
        lost: back?.packetsLost ?? 0,
        discarded: back?.packetsDiscarded ?? 0,
        jitter: back?.jitter ?? null,
        bytesSent: out?.bytesSent ?? 0,
        bytesReceived: back?.bytesReceived ?? 0,
        codec: byId(out?.codecId)?.mimeType?.split('/')[1] ?? null,
        remoteLost: remote?.packetsLost ?? null,
        rtt: remote?.roundTripTime ?? null,
        framesSent: out?.framesSent ?? 0,
        framesDecoded: back?.framesDecoded ?? 0,
        keyFrames: back?.keyFramesDecoded ?? 0,
        // Asked of the other side, and asked by it.
        asked: { nack: back?.nackCount ?? 0, pli: back?.pliCount ?? 0, fir: back?.firCount ?? 0 },
        wasAsked: { nack: out?.nackCount ?? 0, pli: out?.pliCount ?? 0, fir: out?.firCount ?? 0 },
        resent: out?.retransmittedPacketsSent ?? 0,
        level: back?.audioLevel ?? 0,
        energy: back?.totalAudioEnergy ?? 0,
      };
    };
    const transport = of('transport');
    const pair = byId(transport?.selectedCandidatePairId);
    const audio = stream('audio');
    this.loudest = Math.max(this.loudest, audio.level);
    const sample = {
      time: performance.now(),
      audio,
      video: stream('video'),
      stun: pair?.currentRoundTripTime ?? null,
      pair: pair && `${byId(pair.localCandidateId)?.candidateType} ⇄ ${byId(pair.remoteCandidateId)?.candidateType}`,
      ice: transport?.iceState ?? null,
      role: transport?.iceRole ?? null,
      dtls: transport?.dtlsState ?? null,
      dtlsRole: transport?.dtlsRole ?? null,
      tls: { FEFD: 'DTLS 1.2', FEFC: 'DTLS 1.3', FEFF: 'DTLS 1.0' }[transport?.tlsVersion] ?? null,
      dtlsCipher: transport?.dtlsCipher ?? null,
      srtpCipher: transport?.srtpCipher ?? null,
    };
    this.last = sample;
    return sample;
  }

  // Waits `seconds` from the first media, silences the senders, lets what is under way arrive, and tells what came back.
  async conclude(seconds) {
    const until = async (condition, limit) => {
      const end = performance.now() + limit * 1000;
      while (!condition() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
    };
    await until(() => this.times.media, 15);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const before = await this.sample();
    for (const sender of this.connection.getSenders()) await sender.replaceTrack(null);
    await new Promise((resolve) => setTimeout(resolve, 600));
    const { audio, video, ...rest } = await this.sample();
    const carried = ({ sent, received, lost, codec, rtt, remoteLost, framesSent, framesDecoded }) =>
      ({ sent, received, lost, codec, rtt, remoteLost, framesSent, framesDecoded });
    const repaired = ({ keyFrames, asked, wasAsked, resent }) => ({ keyFrames, asked, wasAsked, resent });
    return {
      ...rest,
      times: this.times,
      seconds,
      // Lost before the first packet came back, and after it.
      head: this.head ?? null,
      later: Math.max(0, audio.sent - audio.received - (this.head ?? 0)),
      loudest: this.loudest,
      audio: { ...carried(audio), rtt: audio.rtt ?? before.audio.rtt, codec: audio.codec ?? before.audio.codec, energy: audio.energy },
      video: video.sent ? { ...carried(video), ...repaired(video), codec: video.codec ?? before.video.codec } : null,
    };
  }
}
