import RetortCore

/// A session log of Claude Code (`~/.claude/projects/*/*.jsonl`).
///
/// Its lines form a tree: a turn of the model is written in several lines with the same message id; simultaneous calls
/// branch, and so do prompts that the user took back. Each branch that ends in a turn of the model is a run; so are the
/// work of subagents in the same file, and what follows a compaction, whose question is the summary. The makers do not
/// document the format; it is read as observed in versions 1.0 to 2.1.
struct ClaudeCodeLog: SessionLog {
    private struct Node {
        let line: Int
        let isReply: Bool
        var parent: String?
        var message: JSONValue
        var blocks: [JSONValue]
        var model: String?
        var usage: JSONValue?
        var isMeta = false
        var isSummary = false
        var isSidechain = false
        /// The error that the API reported instead of a turn of the model.
        var failure: String?
        /// Whether it is a result, which belongs to the turn with the call.
        var isResult = false
    }

    private static let keys = RecordKeys(
        "a line",
        read: [
            "type", "uuid", "parentUuid", "message", "isSidechain", "isMeta", "isCompactSummary", "isApiErrorMessage",
            "subtype", "sessionId", "agentId", "version",
        ],
        harmless: [
            "timestamp", "cwd", "gitBranch", "userType", "requestId", "slug", "toolUseResult",
            "sourceToolAssistantUUID",
            "sourceToolUseID", "thinkingMetadata", "todos", "permissionMode", "isVisibleInTranscriptOnly",
            "imagePasteIds",
            "logicalParentUuid", "error", "errorDetails", "apiErrorStatus", "promptId", "entrypoint", "origin",
            "teamName",
            "agentName", "forkedFrom", "mcpMeta", "planContent", "interruptedMessageId", "isReplay",
            "attributionAgent", "attributionSkill", "attributionPlugin", "promptSource", "queuePriority", "session_id",
        ])
    /// Lines about the session that the model did not see.
    private static let harmlessTypes: Set = [
        "summary", "file-history-snapshot", "queue-operation", "progress", "custom-title", "ai-title", "agent-name",
        "agent-color", "agent-setting", "last-prompt", "permission-mode", "mode", "tag", "pr-link", "worktree-state",
        "attribution-snapshot", "task-summary", "bridge-session",
    ]
    static let apiErrors = "errors of the API in the model's place were left out"
    static let unansweredPrompt = "a prompt without an answer was left out"

    private let source: String
    private let options: RecordedTrajectories.Options
    private var nodes: [String: Node] = [:]
    private var order: [String] = []
    private var parentOfLine: [String: String] = [:]
    private var nodeOfLine: [String: String] = [:]
    private var callers: [String: String] = [:]
    private var session: String?
    private var version: String?
    private(set) var notes = LineNotes()

    init(source: String, options: RecordedTrajectories.Options) {
        self.source = source
        self.options = options
    }

    // MARK: Lines

    mutating func take(_ line: JSONValue, number: Int) {
        let type = line["type"]?.string ?? ""
        let uuid = line["uuid"]?.string
        if let uuid, let parent = line["parentUuid"]?.string { parentOfLine[uuid] = parent }
        switch type {
        case "user", "assistant":
            var keyNotes = RecordNotes()
            Self.keys.check(line, &keyNotes)
            notes.add(number, keyNotes)
            session = session ?? line["sessionId"]?.words
            version = version ?? line["version"]?.words
            add(line, uuid ?? "line \(number)", isReply: type == "assistant", number)
        case "system":
            if line["subtype"] == "compact_boundary" {
                notes.repair(number, "the context was compacted; a new run begins")
            }
        case "attachment":
            let kind = line["attachment"]?["type"]?.string ?? "unknown"
            notes.leaveUnread(number, "an attachment of type '\(kind.shown(upTo: 40))'")
        case _ where Self.harmlessTypes.contains(type): break
        default: notes.leaveUnread(number, "a line of type '\(type.shown(upTo: 40))'")
        }
    }

    private mutating func add(_ line: JSONValue, _ uuid: String, isReply: Bool, _ number: Int) {
        let message = line["message"] ?? .null
        let blocks = message["content"]?.array ?? []
        let owner = blocks.compactMap { $0["tool_use_id"]?.string }.compactMap { callers[$0] }.first
        let name =
            isReply ? "reply \(message["id"]?.words ?? uuid)" : owner.map { "results of \($0)" } ?? "line \(uuid)"
        nodeOfLine[uuid] = name
        for block in blocks where isReply {
            if let id = block["id"]?.string { callers[id] = name }
        }
        if var known = nodes[name] {
            known.blocks += blocks.filter { !known.blocks.contains($0) }
            known.usage = message["usage"] ?? known.usage
            nodes[name] = known
            return
        }
        var node = Node(
            line: number, isReply: isReply, parent: owner ?? line["parentUuid"]?.string, message: message,
            blocks: blocks)
        node.isResult = owner != nil
        node.model = message["model"]?.words
        node.usage = message["usage"]
        node.isMeta = line["isMeta"] == true
        node.isSummary = line["isCompactSummary"] == true
        node.isSidechain = line["isSidechain"] == true
        if line["isApiErrorMessage"] == true { node.failure = blocks.compactMap { $0["text"]?.string }.joined() }
        nodes[name] = node
        order.append(name)
    }

    // MARK: Branches

    /// The node that a node follows; nil at a root.
    private func parent(of name: String) -> String? {
        guard let node = nodes[name], var next = node.parent else { return nil }
        if node.isResult { return next }
        // Lines in between, such as those of hooks, are skipped.
        for _ in 0...parentOfLine.count {
            if let found = nodeOfLine[next], found != name { return found }
            guard let further = parentOfLine[next] else { return nil }
            next = further
        }
        return nil
    }

    private func chain(to tip: String) -> [String] {
        var chain: [String] = []
        var seen: Set<String> = []
        var next: String? = tip
        while let name = next, seen.insert(name).inserted {
            chain.append(name)
            next = parent(of: name)
        }
        return chain.reversed()
    }

    /// The ends of the branches, each in a turn of the model or its results.
    private mutating func tips() -> [String] {
        var chains: [[String]] = []
        let parents = Set(order.compactMap(parent(of:)))
        for name in order where !parents.contains(name) {
            var chain = chain(to: name)
            while let last = chain.last, let node = nodes[last], !node.isReply, !node.isResult {
                if !node.isMeta { notes.repair(node.line, Self.unansweredPrompt) }
                chain.removeLast()
            }
            if !chain.isEmpty { chains.append(chain) }
        }
        let inner = Set(chains.flatMap { $0.dropLast() })
        var seen: Set<String> = []
        return chains.compactMap(\.last).filter { !inner.contains($0) && seen.insert($0).inserted }
    }

    // MARK: Runs

    mutating func runs() -> [SessionRun] {
        var roots: [String] = []
        return tips().map { tip in
            let chain = chain(to: tip)
            if let root = chain.first, !roots.contains(root) { roots.append(root) }
            let place = chain.first.flatMap(roots.firstIndex) ?? 0
            let line = chain.first.flatMap { nodes[$0]?.line } ?? 0
            do throws(RecordRejection) {
                return SessionRun(line: line, outcome: .success(try run(chain, place: place)))
            } catch {
                return SessionRun(line: line, outcome: .failure(error))
            }
        }
    }

    private func run(_ chain: [String], place: Int) throws(RecordRejection) -> ReadTrajectory {
        var read = RecordNotes()
        var dialogue = Dialogue()
        var failure: String?
        var model: String?
        for name in chain {
            guard let node = nodes[name] else { continue }
            failure = node.failure
            if node.failure != nil || node.model == "<synthetic>" {
                read.repairs.insert(Self.apiErrors)
                continue
            }
            model = model ?? node.model
            dialogue.entries += try entries(node, &read)
        }
        let isSidechain = chain.first.flatMap { nodes[$0]?.isSidechain } ?? false
        let name = session ?? source
        var task = DialogueTask(
            id: place == 0 ? name : "\(name)-\(place + 1)",
            policy: isSidechain ? "claude-code-subagent" : "claude-code",
            model: model ?? "unknown", family: options.family, split: options.split, known: options.known)
        task.metadata["log"] = .object(["agent": "claude-code", "version": version.map(JSONValue.string) ?? .null])
        let (trajectory, told) = try task.trajectory(dialogue, failure: failure)
        read.repairs.formUnion(told.repairs)
        read.unread.formUnion(told.unread)
        return ReadTrajectory(trajectory, read)
    }

    private func entries(_ node: Node, _ notes: inout RecordNotes) throws(RecordRejection) -> [Dialogue.Entry] {
        var members = node.message.object ?? [:]
        if !node.blocks.isEmpty { members["content"] = .array(node.blocks) }
        let entries = try AnthropicMessages.turns(of: .object(members), &notes)
        return entries.enumerated().map { index, entry in
            switch entry {
            case .reply(var reply):
                // The cost of a message is that of all turns in it.
                if index == 0 { reply.usage = AnthropicMessages.usage(node.usage) }
                return .reply(reply)
            case .user(let text) where node.isMeta: return .context(text)
            case .user(let text) where !node.isSummary: return AgentContext.entry(text)
            default: return entry
            }
        }
    }
}
