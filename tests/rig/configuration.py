"""What /etc/asterisk of a test instance holds: a few short files made from a Setup, nothing of the distribution's samples.

A Setup says what a test cares for (engine, users, autoload, overrides); everything else is the smallest configuration
with which a browser can call. The peer's settings are those that `facts` of stock showed to work with Chrome.
"""

import dataclasses
import os
import subprocess

ECHO, PLAYBACK, READ, SEND, TONE = "600", "601", "602", "603", "604"

EXTENSIONS = """\
[general]
static=yes
writeprotect=yes

[rig]
exten => 600,1,NoOp(Echo: what is said comes back)
 same => n,Answer()
 same => n,Echo()
 same => n,Hangup()
exten => echo,1,Goto(600,1)
exten => 601,1,NoOp(Playback of a recorded prompt)
 same => n,Answer()
 same => n,Playback(demo-congrats)
 same => n,Hangup()
exten => 602,1,NoOp(four digits are read and logged)
 same => n,Answer()
 same => n,Read(digits,,4,,1,10)
 same => n,Log(NOTICE,rig read the digits ${digits})
 same => n,Hangup()
exten => 603,1,NoOp(digits are sent)
 same => n,Answer()
 same => n,Wait(1)
 same => n,SendDTMF(1234#)
 same => n,Wait(2)
 same => n,Hangup()
exten => 604,1,NoOp(a steady tone of 1004 Hz)
 same => n,Answer()
 same => n,Milliwatt()
exten => _10XX,1,NoOp(another user)
 same => n,Dial(%(technology)s/${EXTEN},30)
 same => n,Hangup()
"""

LOGGER = """\
[general]
dateformat=%F %T.%3q
[logfiles]
full => notice,warning,error,verbose,debug
"""

# What is loaded when autoload is off, in this order; the module under test has its place between the two halves.
# res_sorcery_config and res_pjproject come before res_rtp_asterisk, which is linked with them.
COMMON = """res_sorcery_config res_sorcery_memory res_sorcery_astdb res_pjproject res_crypto res_timing_timerfd
codec_ulaw codec_alaw codec_gsm codec_g722 codec_resample format_pcm format_gsm format_wav
res_format_attr_opus res_format_attr_vp8 res_format_attr_h264 res_http_websocket""".split()
STOCK_ENGINE = ["res_srtp", "res_rtp_asterisk"]
APPLICATIONS = """pbx_config app_echo app_playback app_read app_senddtmf app_milliwatt app_dial app_verbose app_stack
func_channel func_callerid func_logic func_strings bridge_simple bridge_softmix bridge_builtin_features bridge_native_rtp""".split()
CHAN_SIP = ["chan_sip"]
CHAN_PJSIP = """res_statsd res_geolocation res_pjsip res_pjsip_session res_pjsip_pubsub res_pjsip_sdp_rtp res_pjsip_registrar
res_pjsip_authenticator_digest res_pjsip_endpoint_identifier_user res_pjsip_endpoint_identifier_ip
res_pjsip_transport_websocket res_pjsip_caller_id res_pjsip_nat res_pjsip_dtmf_info res_pjsip_rfc3326
res_pjsip_logger chan_pjsip""".split()

# With autoload on the distribution's own configuration stands below ours; these would want hardware or servers.
NOLOAD = """chan_dahdi chan_alsa chan_console chan_oss chan_mobile cdr_pgsql cel_pgsql cdr_radius cel_radius cdr_tds cel_tds
res_config_ldap res_config_pgsql res_odbc res_config_odbc res_odbc_transaction func_odbc cdr_odbc cel_odbc
cdr_adaptive_odbc res_snmp res_hep_rtcp res_hep_pjsip""".split()

MODULE = "res_rust_webrtc"

@dataclasses.dataclass
class Setup:
    """What a test wants of its instance. `engine` is "ours" or "stock"; dictionaries override generated settings."""

    engine: str = dataclasses.field(default_factory=lambda: os.environ.get("ENGINE", "ours"))
    technology: str = ""  # "SIP" (chan_sip) or "PJSIP"; empty: what the suite has
    address: str = "0.0.0.0"  # that the servers and the media bind to
    autoload: bool = False
    load: list = dataclasses.field(default_factory=list)  # instead of the standard list, when not empty
    noload: list = dataclasses.field(default_factory=list)
    stock_engine: bool = False  # stock's RTP engine and SRTP provider loaded beside ours
    users: dict = dataclasses.field(default_factory=lambda: {"1001": {}, "1002": {}, "1003": {"transport": "ws"}})
    general: dict = dataclasses.field(default_factory=dict)  # sip.conf [general] or pjsip.conf [global]
    http: dict = dataclasses.field(default_factory=dict)
    rtp: dict = dataclasses.field(default_factory=dict)
    webrtc: str = ""  # text of webrtc.conf; empty: no such file
    extensions: str = ""  # further dialplan, in context [rig]
    files: dict = dataclasses.field(default_factory=dict)  # further files of /etc/asterisk, by name

    def modules(self):
        """The modules to load when autoload is off, in order."""
        if self.load:
            return self.load
        modules = list(COMMON)
        if self.engine == "stock" or self.stock_engine:
            modules += STOCK_ENGINE
        if self.engine == "ours":
            modules.append(MODULE)
        return modules + APPLICATIONS + (CHAN_SIP if self.technology == "SIP" else CHAN_PJSIP)

PASSWORD = "rig-secret"

def make_certificate(directory, name, address, kind="ec"):
    """Writes NAME.pem (certificate, then key) and NAME.key, valid for `address`; P-256 as the module's own would be."""
    key, cert = os.path.join(directory, name + ".key"), os.path.join(directory, name + ".crt")
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"] if kind == "ec" else ["-newkey", "rsa:2048"]
    alt = {"127.0.0.1", address} - {"0.0.0.0"}
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=rig", *new, "-keyout", key, "-out", cert,
         "-addext", "subjectAltName=DNS:localhost," + ",".join(f"IP:{ip}" for ip in sorted(alt))],
        check=True, capture_output=True)
    with open(os.path.join(directory, name + ".pem"), "w", encoding="ascii") as pem:
        for part in (cert, key):
            with open(part, encoding="ascii") as source:
                pem.write(source.read())
    os.unlink(cert)

def section(name, settings):
    """One section; a setting whose value is None is left out, one whose value is a list is repeated."""
    lines = [f"[{name}]"]
    for key, value in settings.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                lines.append(f"{key}={each}")
    return "\n".join(lines) + "\n\n"

def sip(setup):
    """sip.conf: the general part and one browser peer a user (`transport=udp` in the overrides makes a desk phone)."""
    text = section("general", {
        "context": "rig", "udpbindaddr": setup.address, "allowguest": "no", "videosupport": "yes",
        "transport": "udp,ws,wss", "realm": "rig", "srvlookup": "no", "alwaysauthreject": "yes", **setup.general})
    for user, overrides in setup.users.items():
        text += section(user, {
            "type": "friend", "host": "dynamic", "secret": PASSWORD, "context": "rig", "transport": "wss",
            "avpf": "yes", "force_avp": "yes", "encryption": "yes", "icesupport": "yes", "rtcp_mux": "yes",
            "directmedia": "no", "dtlsenable": "yes", "dtlsverify": "fingerprint", "dtlssetup": "actpass",
            "dtlscertfile": "/etc/asterisk/keys/dtls.pem", "disallow": "all", "allow": "opus,ulaw,g722,vp8,h264",
            "rtp_engine": "webrtc" if setup.engine == "ours" else None, **overrides})
    return {"sip.conf": text}

def pjsip(setup):
    """pjsip.conf: transports, and an endpoint with `webrtc=yes`, its address of record and its password, a user."""
    text = section("global", {"type": "global", **setup.general})
    for transport in ("udp", "ws", "wss"):
        text += section(f"transport-{transport}", {"type": "transport", "protocol": transport, "bind": setup.address})
    for user, overrides in setup.users.items():
        overrides = {key: value for key, value in overrides.items() if key != "transport"}  # any transport serves
        text += section(user, {
            "type": "endpoint", "context": "rig", "aors": user, "auth": f"auth-{user}", "webrtc": "yes",
            "dtls_auto_generate_cert": "no", "dtls_cert_file": "/etc/asterisk/keys/dtls.pem", "dtls_setup": "actpass",
            "direct_media": "no", "disallow": "all", "allow": "opus,ulaw,g722,vp8,h264",
            "rtp_engine": "webrtc" if setup.engine == "ours" else None, **overrides})
        text += section(user, {"type": "aor", "max_contacts": 5, "remove_existing": "yes"})
        text += section(f"auth-{user}", {"type": "auth", "auth_type": "userpass", "username": user, "password": PASSWORD})
    return {"pjsip.conf": text}

def modules(setup):
    """modules.conf, for autoload on (what has no place here is left out by name) or off (an ordered list)."""
    lines = ["[modules]", f"autoload={'yes' if setup.autoload else 'no'}"]
    noload = list(setup.noload)
    if setup.autoload:
        noload += NOLOAD + (["chan_pjsip", "res_pjsip_transport_websocket"] if setup.technology == "SIP" else ["chan_sip"])
        if setup.engine == "stock":
            noload.append(MODULE)
        elif not setup.stock_engine:
            noload += STOCK_ENGINE
    else:
        lines += [f"load={module}.so" for module in setup.modules() if module not in noload]
    lines += [f"noload={module}.so" for module in noload]
    return {"modules.conf": "\n".join(lines) + "\n"}

def write(setup, directory):
    """Writes every file of the configuration into `directory`."""
    os.makedirs(os.path.join(directory, "keys"), exist_ok=True)
    for name in ("http", "dtls"):
        make_certificate(os.path.join(directory, "keys"), name, setup.address)
    files = {
        "asterisk.conf": ("[options]\nverbose=3\nnocolor=yes\nhideconnect=yes\n"),
        "logger.conf": LOGGER,
        "extensions.conf": EXTENSIONS % {"technology": setup.technology} + setup.extensions,
        "rtp.conf": section("general", {"rtpstart": 20000, "rtpend": 29999, "icesupport": "yes", **setup.rtp}),
        "http.conf": section("general", {
            "enabled": "yes", "bindaddr": setup.address, "bindport": 8088, "tlsenable": "yes",
            "tlsbindaddr": f"{setup.address}:8089", "tlscertfile": "/etc/asterisk/keys/http.pem",
            "enablestatic": "yes", "sessionlimit": 1000, **setup.http}),
        "cdr.conf": "[general]\nenable=no\n", "cel.conf": "[general]\nenable=no\n", "pjproject.conf": "[startup]\n", "statsd.conf": "[general]\n", "geolocation.conf": "",
        "features.conf": "[general]\n",
        "acl.conf": "", "udptl.conf": "[general]\n", "ccss.conf": "[general]\n", "stasis.conf": "[threadpool]\n",
        "manager.conf": "[general]\nenabled=no\n", "indications.conf": "[general]\ncountry=us\n[us]\ndescription=US\ndial=350+440\nbusy=480+620/500,0/500\nring=440+480/2000,0/4000\ncongestion=480+620/250,0/250\n",
        **(sip(setup) if setup.technology == "SIP" else pjsip(setup)),
        **modules(setup),
    }
    if setup.webrtc:
        files["webrtc.conf"] = setup.webrtc
    files.update(setup.files)
    for name, text in files.items():
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(text)
