#!/usr/bin/env python3
"""A reader of plans that shares nothing with ours: written from spec/plan-format.md and spec/semantics.md alone.

Lines of JSON on standard input: {"plan": FILE} opens a plan, any other line is a request to it, and each request is answered by a
line: what can become of it, with exact odds. BLAKE3 is not in Python's standard library, so the digest is taken as it stands.
"""
import collections, ipaddress, json, re, struct, sys
from fractions import Fraction

NONE, NODE, REFUSED = 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF
# The tables in the order of their ids, from 3 on, and the words of a record; streams of words have 1. There is no section 27.
TABLES = dict(mesh=6, principals=2, prefixes=1, services=27, ports=10, endpoints=9, subset_endpoints=2, members=1, subsets=1, calls=3,
              call_hosts=2, gateways=13, listeners=12, hosts=2, partitions=19, peer_principals=2, peer_prefixes=2, states=1, names=1,
              fields=19, field_values=1, field_prefixes=2, roots=1, nodes=1, none=1, outcomes=7, backends=5, verdicts=5, grants=2,
              settings=10, retries=12, statuses=0.5, automata=69, transitions=0.5, accepts=1, field_addresses=5, field_masks=1,
              field_unions=2, edits=6, consumer_routes=3, lists=5, list_tests=3, list_rows=1, list_bits=2, list_beaten=2, list_beaters=1,
              balancers=5, breakers=4, outliers=9, health_checks=6, vectors=8, facts=4, failover=1, certificates=1,
              verifiers=12, audiences=1, token_places=2, list_claims=1, outside_tls=4, authorities=5, asked=1)
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
EDITS = "path prefix host scheme set add remove set-response add-response remove-response delay abort mirror body limit cors age websocket decode-slashes strip-parameters global-limit".split()
NO_LISTS = ("date cookie set-cookie user-agent host authorization if-modified-since if-unmodified-since last-modified expires "
            "retry-after").split()

class Plan:
    """Parts 1 to 4 of the format: where records are."""
    def __init__(self, data):
        major, minor, minimum, count, flags, length = struct.unpack_from("<4H2Q", data, 8)
        assert (data[:8], major, flags) == (b"MESHPLAN", 2, 0) and length <= len(data) and minimum == 0 and count <= 64
        data, behind = data[:length], data[length:]
        self.data, spans, end, ids = data, {}, 64 + 12 * count, [None, "strings", "values", *TABLES]
        for number in range(count):
            section, version, start, size = struct.unpack_from("<HHII", data, 64 + 12 * number)
            assert start == end, "a section does not begin where the one before it ends"
            end = start + (size + 3) // 4 * 4
            if section & 0x8000 == 0:
                assert version == 1 and 0 < section < len(ids) and section != 27, "a section without a meaning"
                spans[ids[section]] = (start, size)
        assert end == len(data) and list(spans) == ids[1:27] + ids[28:], "sections"
        self.values = self.heap(*spans["values"])
        self.strings = [text.decode("utf-8") for text in self.heap(*spans["strings"])]
        for table, words in TABLES.items():
            start, size = spans.get(table, (0, 0))
            items = struct.unpack_from(f"<{size // 2}H" if words == 0.5 else f"<{size // 4}I", data, start)
            setattr(self, table, items if words <= 1 else [items[at:at + words] for at in range(0, len(items), words)])
        self.identities = {self.strings[row[0]]: index for index, row in enumerate(self.principals)}
        self.places = {self.strings[row]: index for index, row in enumerate(self.prefixes)}
        self.lines = self.sources(behind) if behind else {}
    def sources(self, record):
        """Part 9: where the lines of strings stand in the sources."""
        magic, version, size, _, count = struct.unpack_from("<8s2I32sI", record)
        assert (magic, version, size) == (b"MESHSRCS", 1, len(record)), "something else behind the plan"
        files, lines = self.heap(52 + 12 * count, size - 52 - 12 * count, record), collections.defaultdict(list)
        for string, file, line in struct.iter_unpack("<3I", record[52:52 + 12 * count]):
            lines[self.strings[string]].append(f"{files[file].decode('utf-8')}:{line}")
        return lines
    def heap(self, start, size, data=None):
        data = data or self.data
        count = struct.unpack_from("<I", data, start)[0]
        ends = struct.unpack_from(f"<{count}I", data, start + 4)
        text = data[start + 4 + 4 * count:start + size]
        return [text[begin:end] for begin, end in zip((0,) + ends, ends)]
    def dictionary(self, words, at):
        """What texts stand for. Who looks at all entries needs neither buckets nor keys of long texts."""
        first = at + 1 + (-(words[at] // -2) if words[at] > 4 else 0)
        for low, high, text, value in (words[place:place + 4] for place in range(first, first + 4 * words[at], 4)):
            place, length = at + (text & ~NODE), words[at + (text & ~NODE)] if text & NODE else text
            raw = words[place + 1:place + 1 - length // -4] if text & NODE else (low, high)
            yield struct.pack(f"<{len(raw)}I", *raw)[:length], value
    def child(self, at, atom):
        """Where an atom leads from the node at a word."""
        nodes, count = self.nodes, self.nodes[at + 3]
        if nodes[at + 1] >> 30 != 1:
            return nodes[at + 3 + atom]
        first = at + 5 + (-(count // -4) if count > 8 else 0)
        return dict(zip(*(nodes[first + half:first + 2 * count:2] for half in (0, 1)))).get(atom, nodes[at + 4])
    def rows(self, table, row, word):
        """The range of records that begins at a word of a record."""
        return getattr(self, table)[row[word]:row[word] + row[word + 1]]
    def named(self, rows, name):
        """Index and record of what has the name in word 0."""
        return next((index, row) for index, row in enumerate(rows) if self.strings[row[0]] == name)
    def port(self, service, port):
        return self.ports[self.services[service][4] + port]
    def edit(self, edit):
        """What an edit does, in words."""
        name, (kind, a, b, c, d, flags) = EDITS[edit[0]], edit
        if kind < 10:
            return [name, self.strings[a], self.strings[b] if kind in (1, 4, 5, 7, 8) else ""]
        if kind == 12:
            return [name, *self.backend(a, b, c), d]
        if kind == 20:
            return [name, a, b, self.strings[self.authorities[c][0]], self.strings[d], flags]
        if kind > 14:
            return [name, *([*(self.strings[word] for word in (a, b, c, d)), flags] if kind == 15 else [a] if kind == 16 else [])]
        return [name, *((a, d) if kind < 12 else [a | b << 32] if kind == 13 else (a, b, c, self.strings[d], flags))]
    def backend(self, service, port, subset):
        subsets = self.rows("subsets", self.services[service], 6)
        subset = "" if subset == NONE else self.strings[subsets[subset]]
        return [self.strings[self.services[service][0]], self.port(service, port)[0], subset]

class Request(collections.namedtuple("Request", "method host host_port path query headers tokens source_ip client_ip")):
    """What is asked about (semantics 1), as it is after the edits so far."""
    def edited(self, plan, edits):
        """9.1 to 9.3: as it is after the edits of a rule."""
        path, host, headers, has_prefix = self.path, self.host, self.headers, False
        for name, *texts in map(plan.edit, edits):
            if name == "path" and path != "*":
                path = texts[0]
            if name == "prefix" and path != "*" and not has_prefix and (path + "/").startswith(texts[0] + "/"):
                path, has_prefix = (texts[1] + path[len(texts[0]):]) or "/", True
            host = texts[0] if name == "host" else host
            headers = [line for line in headers if name not in ("set", "remove") or line[0] != texts[0]]
            headers += [texts] if name in ("set", "add") else []
        return self._replace(path=path, host=host, headers=headers)

    def values(self, kind, name, issuer):
        """1.3 to 1.8: nothing where the field is absent, "odd", or its values, and whether they are several (or a list)."""
        if kind == 0:
            lines = [line for own, line in self.headers if own == name]
            items = [item for line in lines for item in items_of(name, line)] or [""] * bool(lines)
        elif kind == 1:
            pairs = [[decoded(part) for part in piece.partition("=")] for piece in self.query.split("&") if piece]
            items = [value for key, _, value in pairs if key == name.encode()]
        elif kind == 2:
            pairs = [pair.partition("=") for own, line in self.headers if own == "cookie" for pair in line.split(";")]
            items = [value.strip(" \t") for key, equals, value in pairs if equals and key.strip(" \t") == name]
        elif kind in (3, 4):
            claims = next((token["claims"] for token in self.tokens if token["issuer"] == (issuer if kind == 3 else name) or
                           kind == 3 and issuer == ""), None)
            found = "" if kind == 4 and claims is not None else (claims or {}).get(name)
            if isinstance(found, list) and all(isinstance(item, str) for item in found):
                return [item.encode() for item in found], True
            if found is not None and not isinstance(found, str):
                return "odd", False
            items = [] if found is None else [found]
        elif kind in (5, 6, 9):
            address = self.client_ip if kind == 6 else self.source_ip
            items = [] if address is None else [ipaddress.ip_address(address)]
            items = [(item if item.version == 6 else ipaddress.ip_address(f"::ffff:{item}")).packed for item in items]
        else:
            items = [self.host] if kind == 7 else self.path.split("/")[1:][int(name):][:1]
        return [item if isinstance(item, bytes) else item.encode() for item in items], len(items) > 1

def items_of(name, line):
    """1.3: the items of one line of a header."""
    if name in NO_LISTS:
        return [line]
    items = re.findall(r'((?:"(?:\\.|[^"\\])*(?:"|\\?$)|[^",])*)(?:,|$)', line, re.S)
    return [item for item in (item.strip(" \t") for item in items) if item]

def decoded(text):
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode())

def automaton(plan, index, text):
    row, state, classes = plan.automata[index], 0, struct.pack("<64I", *plan.automata[index][:64])
    for byte in text:
        state = plan.transitions[row[65] + state * row[64] + classes[byte]]
    return plan.accepts[row[67] + state]

def field_atom(plan, field, request):
    values, are_several = request.values(field[0], plan.strings[field[1]], plan.strings[field[2]])
    if values == "odd" or not values and not are_several:
        return field[6 if values else 4]
    def single(value):
        if field[0] in (5, 6, 9):
            return [row[4] for row in plan.rows("field_addresses", field, 13) if struct.pack("<4I", *row[:4]) <= value][-1]
        if field[12] != NONE:
            return automaton(plan, field[12], value)
        exact = [atom for own, atom in plan.dictionary(plan.rows("field_values", field, 8) or (0,), 0) if own == value]
        begun = [row for row in plan.rows("field_prefixes", field, 10) if value.startswith(plan.values[row[0]])]
        return (exact + [row[1] for row in sorted(begun, key=lambda row: -len(plan.values[row[0]]))] + [field[7]])[0]
    masks, union = plan.rows("field_masks", field, 15), 0
    for value in values if masks else []:
        union |= masks[single(value)]
    return dict(plan.rows("field_unions", field, 17)).get(union, field[5]) if are_several else single(values[0])

def path_atom(plan, partition, path):
    if not path.startswith("/"):
        return partition[12]
    if partition[18] != NONE:
        return automaton(plan, partition[18], path.encode())
    states, state = plan.rows("states", partition, 9), 0
    for segment in path[1:].split("/"):
        state = dict(plan.dictionary(states, state + 3)).get(segment.encode(), states[state + (1 if segment else 2)])
        if state == NONE:
            return 0
    return states[state]

def peer_atom(plan, partition, identity):
    if identity is None:
        return partition[8]
    index, own, prefixes = plan.identities.get(identity), *(dict(plan.rows(*at)) for at in (
        ("peer_principals", partition, 1), ("peer_prefixes", partition, 3)))
    if index in own:
        return own[index]
    if index is not None and plan.principals[index][1]:
        return partition[6]
    form = re.fullmatch(r"(spiffe://([a-z0-9._-]+))((?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+)*)", identity)
    if not form or len(identity) > 2048:
        return partition[7]
    begins = [plan.places.get(begin) for begin in (identity.rpartition("/")[0] if form[3] else form[1], form[1])]
    kind = partition[5] if form[2] == plan.strings[plan.mesh[0][0]] else partition[7]
    return next((prefixes[begin] for begin in begins if begin in prefixes), kind)

def covers(kind, name, host):
    parents = [host[at + 1:] for at, byte in enumerate(host) if byte == "." and at > 0]
    return [host == name, parents[:1] == [name], name in parents, True][kind]

def includes(pattern, host):
    """Whether a call host, which may begin with `*.` or `**.` or be a network, is that host or has it below."""
    if "/" in pattern:
        try:
            ip = ipaddress.ip_address(host.strip("[]"))
            return (getattr(ip, "ipv4_mapped", None) or ip) in ipaddress.ip_network(pattern)
        except ValueError:
            return False
    stars, _, parent = pattern.rpartition("*.")
    return pattern == host if parent == pattern else covers(1 + len(stars), parent, host)

def width(pattern):
    """Of two call hosts that include a host the one of less is more specific."""
    return (3, -int(pattern.split("/")[1])) if "/" in pattern else (pattern.count("*"), -len(pattern))

class Way(collections.namedtuple("Way", "plan request peer odds rule told levels grant edits limits own door asks probe",
                                 defaults=[Fraction(1), "", ("", ""), (), (), (), (), (), None, (), None])):
    """From a request to a decision: a request on its way, what it is now, who sends it on, what was met, and how likely it came so far."""
    def end(self, kind, rule=None, **more):
        told = [line for text in self.told for line in text.split("\n") if line]
        rule = self.rule if rule is None else rule
        places = [self.plan.lines.get(text, []) for text in (rule, *self.told)]
        return [(self.odds, dict(more, kind=kind, rule=rule, told=told, source="".join(places[0]), told_at=sum(places[1:], [])))]
    def sent_by(self, owner, routes):
        """From here on a workload's own proxy sends it."""
        identity = self.plan.strings[self.plan.principals[owner[2]][0]]
        return self._replace(peer=identity, own=tuple(self.plan.rows("consumer_routes", owner, routes)))
    def ask(self, index, root=None):
        """The leaf below a root of a partition, or of its authorization."""
        plan, request, partition = self.plan, self.request, self.plan.partitions[index]
        asks = [lambda: peer_atom(plan, partition, self.peer), lambda: (METHODS + [request.method]).index(request.method),
                lambda: path_atom(plan, partition, request.path)]
        asks += [lambda field=field: field_atom(plan, field, request) for field in plan.rows("fields", partition, 13)]
        target = partition[15] if root is None else plan.rows("roots", partition, 16)[root]
        while target & NODE and target != NONE:
            at, dim = target & ~NODE, plan.nodes[(target & ~NODE) + 1]
            if not dim & NODE:
                target = plan.child(at, asks[dim & ~0x40000000]())
                continue
            candidates = plan.lists[dim & ~NODE]
            count, beaten = candidates[0], plan.rows("list_beaten", candidates, 3)
            fit = (1 << count) - 1
            for test in plan.rows("list_tests", candidates, 1):
                row = plan.rows("list_rows", test, 1)[asks[test[0]]()]
                bits = plan.list_bits[row:row + (count + 63) // 64]
                fit &= sum((low | high << 32) << 64 * place for place, (low, high) in enumerate(bits))
            beaters = [plan.rows("list_beaters", row, 0) for row in beaten] or [()] * count
            first = (c for c in range(count) if fit >> c & 1 and not any(fit >> other & 1 for other in beaters[c]))
            target = next((plan.child(at, candidate) for candidate in first), REFUSED)
        return None if target in (REFUSED, NONE) else target
    def authorized(self, place, index, by):
        """The way with what is told of it, and how it ends if it is refused."""
        found, by = self.ask(index), self.plan.strings[by]
        if found is None:
            return self, self.end("denied", rule="", by=by)
        allow, rule, audit, *_ = self.plan.verdicts[found]
        asks = tuple(self.plan.strings[self.plan.authorities[own][0]] for own in self.plan.rows("asked", self.plan.verdicts[found], 3))
        way = self._replace(told=tuple(self.plan.strings[audit] if at == place else told for at, told in enumerate(self.told)),
                            asks=asks if place == self.door else self.asks)
        way = way._replace(probe=self.plan.strings[rule] if allow == 2 else None)
        return way, None if allow else way.end("denied", rule=self.plan.strings[rule], by=by)
    def send(self, service, port):
        """The consumer route of who sends it, or the route of the port."""
        own = [partition for *to, partition in self.own if to == [service, port]]
        return self._replace(own=()).take(self.ask((own or [self.plan.port(service, port)[2]])[0], 0))
    def take(self, found):
        """What a route's outcome does."""
        if found is None:
            return self.end("no route", rule="")
        outcome = self.plan.outcomes[found]
        edits = tuple(self.plan.rows("edits", outcome, 5))
        way = self._replace(rule=self.plan.strings[outcome[0]], levels=self.levels + (outcome[1],), edits=self.edits + edits,
                            request=self.request.edited(self.plan, edits))
        if outcome[2]:
            return way.end(["redirect", "respond"][outcome[2] - 1], status=outcome[3], text=self.plan.strings[outcome[4]], **way.changes())
        drawn = ((way._replace(odds=way.odds * weight / 10_000), *to) for *to, weight in self.plan.rows("backends", outcome, 3) if weight)
        return [end for on, service, port, subset, enters in drawn
                for end in (on.send(service, port) if enters else on.arrive(service, port, subset))]
    def arrive(self, service, port, subset):
        """Endpoints, if their owner lets it in."""
        plan, owner = self.plan, self.plan.services[service]
        way, denied = self.authorized(1, plan.port(service, port)[2], owner[0])
        settings = [plan.settings[level] for level in (*self.levels, *self.grant, owner[3], plan.mesh[0][1]) if level != NONE]
        timeout, retry, idle = (next((row[at + 1] if row[at] == 2 else None for row in settings if row[at]), None) for at in (0, 2, 4))
        retry = retry if retry is None else plan.retries[retry]
        connect, balancer = (next((row[at] for row in settings if row[at] != NONE), None) for at in (6, 7))
        balancer = balancer if balancer is None else [
            plan.strings[word] if at == 2 else word for at, word in enumerate(plan.balancers[balancer])]
        places = [plan.settings[level] for level in (*self.grant, owner[3]) if level != NONE]
        limits = [list(table[row[at]]) for row in places for table, at in ((plan.breakers, 8), (plan.outliers, 9)) if row[at] != NONE]
        limited = tuple(edit for edit in plan.rows("edits", owner, 12) if way.probe is None or EDITS[edit[0]] != "limit")
        way = way._replace(limits=self.limits + limited, rule=way.rule if way.probe is None else way.probe)
        name, number, subset = plan.backend(service, port, subset)
        return denied or way.end("forward", service=name, port=number, subset=subset, timeout=timeout, connect=connect, idle=idle, balancer=balancer, breakers=limits,
                                 retry=retry and [*retry[:7], *retry[9:], *plan.rows("statuses", retry, 7)], **way.changes())
    def changes(self):
        return dict(path=self.request.path, host=self.request.host, asks=self.asks, edits=[self.plan.edit(edit) for edit in self.limits + self.edits])

def decide(plan, said):
    """From a request to a decision: from where the request comes in."""
    entry = said.pop("entry")
    way = Way(plan, peer=said.pop("peer"), request=Request(**said))
    if "listener" in entry:
        gateway = plan.named(plan.gateways, entry["gateway"])[1]
        listener = plan.named(plan.rows("listeners", gateway, 3), entry["listener"])[1]
        way, denied = way._replace(door=0).authorized(0, listener[2], gateway[0])
        hosts = [(kind, plan.strings[name]) for kind, name in plan.rows("hosts", listener, 3)]
        fits = [(kind, -len(name), place) for place, (kind, name) in enumerate(hosts) if covers(kind, name, way.request.host)]
        if denied or not fits:
            return denied or way.end("no route")
        limits = tuple(plan.rows("edits", gateway, 5) + plan.rows("edits", listener, 5))
        return way._replace(limits=limits).sent_by(gateway, 7).take(way.ask(listener[2], min(fits)[2]))
    if "sidecar" in entry:
        owner, number = plan.named(plan.services, entry["sidecar"])[1], way.request.host_port
        way, calls = way.sent_by(owner, 14), plan.rows("calls", owner, 8)
        hosts = [(plan.strings[name], call) for name, call in plan.rows("call_hosts", owner, 10)]
        fits = [host for host in {name for name, _ in hosts} if includes(host, way.request.host)]
        meant = min(fits, key=width, default=None)
        called = [calls[call] for name, call in hosts if name == meant and call != NONE]
        ports = sum(plan.services[service][5] for service in {call[0] for call in called})
        fits = [call for call in called if plan.port(*call[:2])[0] == (80 if number is None else number)]
        fits = fits or [call for call in called if number is None and ports == 1]
        found = way.ask(fits[0][2], 0) if fits else None
        return way.end("undeclared") if found is None else way._replace(grant=plan.grants[found]).send(*fits[0][:2])
    service, row = plan.named(plan.services, entry["service"])
    port = next(place for place, own in enumerate(plan.rows("ports", row, 4)) if own[0] == entry["port"])
    if "gateway" in entry:
        return way.sent_by(plan.named(plan.gateways, entry["gateway"])[1], 7).send(service, port)
    return way._replace(door=1).arrive(service, port, NONE)

for line in sys.stdin:
    said, together = json.loads(line), {}
    if "plan" in said:
        plan = Plan(open(said["plan"], "rb").read())
        continue
    for odds, end in decide(plan, said):
        key = json.dumps(end, sort_keys=True)
        together[key] = together.get(key, 0) + odds
    print(json.dumps([[str(odds), json.loads(key)] for key, odds in together.items()]))
