import RetortCore

/// A session log of Codex (`~/.codex/sessions/**/rollout-*.jsonl`): items of the Responses API in envelopes
/// `{timestamp, type, payload}`, or bare as the first versions wrote them (`codex-rs/protocol`, `RolloutItem`).
///
/// What follows a compaction is a run of its own, and so is what the user took back.
struct CodexLog: SessionLog {
    /// Items whose names show that the model did not see them.
    private static let harmlessItems: Set = ["ghost_snapshot"]
    /// Events for the screen, which repeat the items.
    private static let harmlessEvents: Set = [
        "user_message", "agent_message", "agent_message_delta", "agent_reasoning", "agent_reasoning_raw_content",
        "agent_reasoning_section_break", "task_started", "task_complete", "turn_started", "turn_complete",
        "exec_command_begin", "exec_command_end", "exec_command_output_delta", "exec_approval_request",
        "mcp_tool_call_begin", "mcp_tool_call_end", "patch_apply_begin", "patch_apply_end",
        "apply_patch_approval_request",
        "web_search_begin", "web_search_end", "view_image_tool_call", "context_compacted", "plan_update", "turn_diff",
        "background_event", "warning", "stream_error", "entered_review_mode", "exited_review_mode", "undo_started",
        "undo_completed", "item_started", "item_completed", "session_configured", "thread_name_updated",
        "thread_settings_applied", "mcp_startup_update", "mcp_startup_complete", "deprecation_notice",
        "raw_response_item",
        "terminal_interaction", "collab_agent_spawn_begin", "collab_agent_spawn_end", "collab_waiting_begin",
        "collab_waiting_end", "collab_close_begin", "collab_close_end", "collab_agent_interaction_begin",
        "collab_agent_interaction_end", "dynamic_tool_call_request", "dynamic_tool_call_response",
        "skills_update_available",
        "model_reroute", "hook_started", "hook_completed", "request_user_input", "guardian_assessment",
    ]
    private static let metaKeys = RecordKeys(
        "the session",
        read: ["id", "instructions", "base_instructions", "cli_version", "dynamic_tools", "type", "payload"],
        harmless: [
            "timestamp", "cwd", "originator", "source", "model_provider", "git", "forked_from_id", "agent_nickname",
            "agent_role", "agent_path", "memory_mode", "thread_source", "context_window", "session_id",
            "parent_thread_id",
            "multi_agent_version", "history_mode",
        ])
    static let rolledBack = "the user took turns back; they are a run of their own"
    static let compacted = "the context was compacted; a new run begins"
    static let aborted = "the user interrupted a turn"

    private let source: String
    private let options: RecordedTrajectories.Options
    private(set) var notes = LineNotes()
    private var entries: [Dialogue.Entry] = []
    /// The unfinished turn of the model.
    private var open: Dialogue.Reply?
    private var read = RecordNotes()
    private var rejection: RecordRejection?
    /// Where in the dialogue the rejected content stands.
    private var rejectedPlace = 0
    private var finished: [SessionRun] = []
    private var startLine = 1
    private var isNew = false
    private var place = 0
    private var session: String?
    private var version: String?
    private var model: String?
    private var tools: [ToolDocument] = []
    private var failure: String?
    private var spent: JSONValue?

    init(source: String, options: RecordedTrajectories.Options) {
        self.source = source
        self.options = options
    }

    // MARK: Lines

    mutating func take(_ line: JSONValue, number: Int) {
        do throws(RecordRejection) {
            switch line["type"]?.string {
            case "session_meta": begin(line["payload"] ?? .null, number)
            case "response_item": try take(item: line["payload"] ?? .null, number)
            case "event_msg": take(event: line["payload"] ?? .null, number)
            case "turn_context": model = line["payload"]?["model"]?.words ?? model
            case "compacted": try compact(line["payload"] ?? .null, number)
            case nil where line["record_type"] != nil: break
            case nil where line["id"] != nil && line["timestamp"] != nil: begin(line, number)
            case let type? where line["payload"] != nil:
                notes.leaveUnread(number, "a line of type '\(type.shown(upTo: 40))'")
            default: try take(item: line, number)
            }
        } catch {
            if rejection == nil {
                rejection = RecordRejection("line \(number): \(error.reason)")
                rejectedPlace = entries.count
            }
            // The user's turns are counted when they are taken back.
            if (line["payload"] ?? line)["role"] == "user" { entries.append(.user("")) }
        }
    }

    private mutating func begin(_ meta: JSONValue, _ number: Int) {
        var keyNotes = RecordNotes()
        Self.metaKeys.check(meta, &keyNotes)
        // A forked session lists its origins after its own record.
        guard session == nil else { return }
        session = meta["id"]?.words
        version = meta["cli_version"]?.words
        tools = RecordedTools.documents(meta["dynamic_tools"], &keyNotes)
        notes.add(number, keyNotes)
        for text in [
            meta["base_instructions"]?["text"]?.words ?? meta["base_instructions"]?.words, meta["instructions"]?.words,
        ] {
            if let text { entries.append(.system(text)) }
        }
    }

    // MARK: Items

    private mutating func take(item: JSONValue, _ number: Int) throws(RecordRejection) {
        let type = item["type"]?.string ?? ""
        switch type {
        case "message": try take(message: item)
        case "reasoning": think(item)
        case "function_call":
            guard let name = item["name"]?.words else { throw RecordRejection("a call has no name") }
            let space = item["namespace"]?.words.map { $0 } ?? ""
            call(Dialogue.Call(id: item["call_id"]?.words, name: space + name, text: item["arguments"]?.string ?? ""))
        case "custom_tool_call":
            guard let name = item["name"]?.words else { throw RecordRejection("a call has no name") }
            call(Dialogue.Call(id: item["call_id"]?.words, name: name, arguments: ["input": item["input"] ?? ""]))
        case "local_shell_call":
            let action = (item["action"]?.object ?? [:]).filter { $0.key != "type" && $0.value != .null }
            call(
                Dialogue.Call(
                    id: item["call_id"]?.words ?? item["id"]?.words, name: "shell", arguments: .object(action)))
        case "web_search_call":
            call(Dialogue.Call(id: item["id"]?.words, name: "web_search", arguments: item["action"] ?? [:]))
        case "tool_search_call":
            call(Dialogue.Call(id: item["call_id"]?.words, name: "tool_search", arguments: item["arguments"] ?? [:]))
        case "function_call_output", "custom_tool_call_output", "tool_search_output", "mcp_tool_call_output":
            try take(output: item)
        case "image_generation_call": throw .multimodal(type, in: "the session")
        case "compaction", "compaction_summary", "context_compaction":
            notes.leaveUnread(number, "a compaction that is encrypted")
        case _ where Self.harmlessItems.contains(type): break
        default: notes.leaveUnread(number, "an item of type '\(type.shown(upTo: 40))'")
        }
    }

    private mutating func take(message: JSONValue) throws(RecordRejection) {
        if message["role"] == "assistant" {
            let text = try OpenAIMessages.text(message["content"], of: "a message", &read)
            if open.map({ !$0.text.isEmpty || !$0.calls.isEmpty }) ?? false { close() }
            var reply = open ?? Dialogue.Reply()
            reply.text = text
            open = reply
            isNew = true
            return
        }
        close()
        var said: [Dialogue.Entry] = []
        for part in message["content"]?.array ?? [message["content"] ?? ""] {
            let text = try OpenAIMessages.text(.array([part]), of: "a message", &read)
            switch message["role"] {
            case "user": said.append(AgentContext.entry(text))
            case "system", "developer": said.append(.system(text))
            case let role: throw RecordRejection("a message has the role '\((role?.text ?? "").shown(upTo: 40))'")
            }
        }
        entries += said
    }

    private mutating func think(_ item: JSONValue) {
        let told = (item["content"]?.array ?? []).compactMap { $0["text"]?.words }
        let summary = (item["summary"]?.array ?? []).compactMap { $0["text"]?.words }
        if told.isEmpty, item["encrypted_content"]?.words != nil { read.unread.insert(AnthropicMessages.encrypted) }
        if open.map({ !$0.text.isEmpty || !$0.calls.isEmpty }) ?? false { close() }
        var reply = open ?? Dialogue.Reply()
        let thoughts = [reply.thought] + (told.isEmpty ? summary : told)
        reply.thought = thoughts.filter { !$0.isEmpty }.joined(separator: "\n")
        open = reply
    }

    private mutating func call(_ call: Dialogue.Call) {
        open = open ?? Dialogue.Reply()
        open?.calls.append(call)
        isNew = true
    }

    private mutating func take(output item: JSONValue) throws(RecordRejection) {
        close()
        var text: String
        var isError = false
        switch item["output"] ?? item["result"] ?? item["tools"] {
        case .string(let words): text = words
        case .object(let members):
            text = members["content"]?.string ?? JSONValue.object(members).jsonText
            isError = members["success"] == false || members["Err"] != nil
        case let parts: text = try OpenAIMessages.text(parts, of: "a tool's result", &read)
        }
        // Results of commands are JSON in one version and text with a header in the next.
        if let value = try? ExactJSON.value(of: text), let output = value["output"]?.string, value["metadata"] != nil {
            text = output
            isError = isError || (value["metadata"]?["exit_code"].map { $0 != 0 } ?? false)
        } else if let code = text.prefixMatch(of: /(?:[^\n]*\n){0,3}?(?:Exit code:|Process exited with code) (-?\d+)/) {
            isError = isError || code.output.1 != "0"
        }
        entries.append(.result(Dialogue.Result(call: item["call_id"]?.words, text: text, isError: isError)))
    }

    private mutating func close() {
        if let open { entries.append(.reply(open)) }
        open = nil
    }

    // MARK: Events

    private mutating func take(event: JSONValue, _ number: Int) {
        switch event["type"]?.string ?? "" {
        case "token_count": spend(event["info"] ?? .null)
        case "turn_aborted": notes.repair(number, Self.aborted)
        case "error": failure = event["message"]?.words
        case "thread_rolled_back": rollBack(event["num_turns"]?.count ?? 1, number)
        case let type where Self.harmlessEvents.contains(type):
            if type == "task_started" || type == "turn_started" { failure = nil }
        case let type: notes.leaveUnread(number, "an event of type '\(type.shown(upTo: 40))'")
        }
    }

    /// Records the cost; the event comes after each answer of the model, and again whenever limits are reported.
    private mutating func spend(_ info: JSONValue) {
        guard let last = info["last_token_usage"], info["total_token_usage"] != spent else { return }
        spent = info["total_token_usage"]
        let usage = Usage(
            promptTokens: last["input_tokens"]?.count ?? 0, completionTokens: last["output_tokens"]?.count ?? 0)
        if open != nil {
            open?.usage = usage
        } else if let index = entries.lastIndex(where: { if case .reply = $0 { true } else { false } }),
            case .reply(var reply) = entries[index]
        {
            reply.usage = usage
            entries[index] = .reply(reply)
        }
    }

    // MARK: Runs

    private mutating func rollBack(_ turns: Int, _ number: Int) {
        notes.repair(number, Self.rolledBack)
        close()
        finish()
        let users = entries.indices.filter { if case .user = entries[$0] { true } else { false } }
        if let first = users.suffix(max(turns, 1)).first { entries.removeSubrange(first...) }
        if entries.count <= rejectedPlace { rejection = nil }
        isNew = false
    }

    private mutating func compact(_ payload: JSONValue, _ number: Int) throws(RecordRejection) {
        notes.repair(number, Self.compacted)
        close()
        finish()
        (entries, rejection, failure) = ([], nil, nil)
        (startLine, isNew) = (number, false)
        place += 1
        let history = payload["replacement_history"]?.array ?? []
        for item in history { try take(item: item, number) }
        close()
        if history.isEmpty, let message = payload["message"]?.words { entries.append(.user(message)) }
        isNew = false
    }

    /// Makes a run of the dialogue so far, unless nothing was added since the last one.
    private mutating func finish() {
        guard isNew || rejection != nil else { return }
        let name = session ?? source
        var task = DialogueTask(
            id: place == 0 ? name : "\(name)-\(place + 1)", policy: "codex", model: model ?? "unknown",
            family: options.family, split: options.split, tools: tools, known: options.known)
        task.metadata["log"] = .object(["agent": "codex", "version": version.map(JSONValue.string) ?? .null])
        let outcome: Result<ReadTrajectory, RecordRejection>
        do throws(RecordRejection) {
            if let rejection { throw rejection }
            let (trajectory, told) = try task.trajectory(Dialogue(entries), failure: failure)
            read.repairs.formUnion(told.repairs)
            outcome = .success(ReadTrajectory(trajectory, read))
        } catch {
            outcome = .failure(error)
        }
        finished.append(SessionRun(line: startLine, outcome: outcome))
        read = RecordNotes()
    }

    mutating func runs() -> [SessionRun] {
        close()
        if !isNew, finished.isEmpty, rejection == nil {
            rejection = RecordRejection("the model takes no turn")
        }
        finish()
        return finished
    }
}
