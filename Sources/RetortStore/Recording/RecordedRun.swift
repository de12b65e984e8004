import RetortAgents
import RetortCore

/// A run of an agent that is being recorded: the messages of its last call, and each call's reply.
struct RecordedRun: Codable {
    struct Call: Codable {
        /// How many messages were sent.
        var messages: Int
        var reply: Dialogue.Reply
        /// The length of the last message in bytes of UTF-8, where it consists of the user's words.
        var length: Int?
    }

    /// The run that a changed history came from.
    struct Origin: Codable {
        var trajectory: String
        /// How many messages at the beginning are the same.
        var messages: Int
        /// What differs: `messages`, `reply` or `instructions`.
        var changed: String
    }

    var id: String
    var digests: [String]
    var instructions: Int
    /// The last message, where it consists of the user's words.
    var words: String?
    var calls: [Call] = []
    /// Why calls failed, in order; the last reason is the run's end while `isFailed`.
    var failures: [String] = []
    var isFailed = false
    var from: Origin?

    /// How a request continues a run.
    enum Match: Int, Comparable {
        /// The reply is left out, and its result is joined to the last message.
        case leftOut
        /// The reply is in the history in other words, because some clients rewrite it.
        case told
        /// The reply is in the history unchanged.
        case exact
        /// The failed call is made again.
        case again

        static func < (left: Match, right: Match) -> Bool { left.rawValue < right.rawValue }
    }

    /// How a request continues this run; nil when it does not.
    func match(_ request: RecordedRequest) -> Match? {
        guard request.digests.starts(with: digests) else { return isLeftOut(request) ? .leftOut : nil }
        if isFailed { return request.digests.count == digests.count ? .again : nil }
        guard request.digests.count > digests.count, let reply = calls.last?.reply,
            case .reply(let told)? = request.messages[digests.count].first
        else { return nil }
        // smolagents leaves out a failed call, and reports the failure.
        let isReported = request.words(digests.count + 1).map(AgentObservation.isOne) ?? false
        return Self.match(reply, told, isReported: isReported)
    }

    /// Whether the request leaves out the reply and continues in the last message with its result, as smolagents does
    /// after the failure of a call without words.
    private func isLeftOut(_ request: RecordedRequest) -> Bool {
        guard !isFailed, !calls.isEmpty, request.digests.count == digests.count,
            request.digests.dropLast() == digests.dropLast(), let words, let longer = request.words(digests.count - 1),
            longer.hasPrefix(words), longer.utf8.count > words.utf8.count
        else { return false }
        return AgentObservation.isOne(String(longer.dropFirst(words.count)))
    }

    private static func match(_ reply: Dialogue.Reply, _ told: Dialogue.Reply, isReported: Bool) -> Match? {
        let (text, words) = (reply.text.trimmingBlanks, told.text.trimmingBlanks)
        func isTold(_ call: Dialogue.Call) -> Bool {
            told.calls.contains {
                $0.name == call.name && $0.arguments == call.arguments && $0.spoiltArguments == call.spoiltArguments
                    && ($0.id == nil || call.id == nil || $0.id == call.id)
            }
        }
        let hasCalls = reply.calls.allSatisfy(isTold)
        if text == words, hasCalls, told.calls.count == reply.calls.count { return .exact }
        if isReported, told.calls.isEmpty, text.isEmpty ? words.isEmpty : words.contains(text) { return .told }
        return hasCalls && words.contains(text) && !(text.isEmpty && reply.calls.isEmpty) ? .told : nil
    }

    /// Where a request departed from this run: how much they have in common, and what was changed. Nil when the common
    /// part contains no reply of the run.
    func divergence(_ request: RecordedRequest) -> Origin? {
        func common(_ left: ArraySlice<String>, _ right: ArraySlice<String>) -> Int {
            zip(left, right).prefix { $0 == $1 }.count
        }
        guard let first = calls.first else { return nil }
        let same = common(digests[...], request.digests[...])
        if same > first.messages || (same == digests.count && request.digests.count > same) {
            return Origin(trajectory: id, messages: same, changed: same == digests.count ? "reply" : "messages")
        }
        let rest = common(digests.dropFirst(instructions), request.digests.dropFirst(request.instructions))
        guard rest > first.messages - instructions else { return nil }
        return Origin(trajectory: id, messages: rest, changed: "instructions")
    }

    /// The dialogue: the messages of a request, with the model's own replies in place of the client's version of them.
    func dialogue(_ request: RecordedRequest) -> Dialogue {
        var entries: [Dialogue.Entry] = []
        var index = 0
        func isReply(_ index: Int) -> Bool {
            guard case .reply? = request.messages[index].first else { return false }
            return true
        }
        while index < request.messages.count {
            if let words = request.words(index) {
                entries += split(words, calls.filter { $0.messages == index + 1 })
                index += 1
                continue
            }
            guard isReply(index), let call = calls.first(where: { $0.messages == index }) else {
                entries += request.messages[index]
                index += 1
                continue
            }
            // After the user's words the reply was inserted with them.
            if index == 0 || request.words(index - 1) == nil { entries.append(.reply(call.reply)) }
            // Results of the provider's own tools are in the same message.
            entries += request.messages[index].dropFirst()
            index += 1
            while index < request.messages.count, isReply(index) { index += 1 }
        }
        if let last = calls.last, last.messages == request.messages.count, request.words(index - 1) == nil {
            entries.append(.reply(last.reply))
        }
        return Dialogue(entries)
    }

    /// A user's message, split by the replies to the parts of it that existed when they were given.
    private func split(_ words: String, _ replies: [Call]) -> [Dialogue.Entry] {
        var entries: [Dialogue.Entry] = []
        var start = words.startIndex
        for call in replies {
            let end = words.utf8.index(words.startIndex, offsetBy: min(call.length ?? .max, words.utf8.count))
            if end > start { entries.append(.user(String(words[start..<end]))) }
            entries.append(.reply(call.reply))
            start = max(start, end)
        }
        if start < words.endIndex || replies.isEmpty { entries.append(.user(String(words[start...]))) }
        return entries
    }
}
