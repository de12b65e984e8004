import RetortAgents
import RetortCore

/// A run of an agent that is being recorded: the messages of its last call, and each call's reply.
struct RecordedRun: Codable {
    struct Call: Codable {
        /// How many messages were sent.
        var messages: Int
        var reply: Dialogue.Reply
    }

    /// Where a run's history came from that the client changed.
    struct Origin: Codable {
        var trajectory: String
        /// So many messages at the beginning are the same.
        var messages: Int
        /// What is other than it was: `messages`, `reply` or `instructions`.
        var changed: String
    }

    var id: String
    var digests: [String]
    var instructions: Int
    var calls: [Call] = []
    /// Why calls failed, in order; the last is the run's end while `isFailed`.
    var failures: [String] = []
    var isFailed = false
    var from: Origin?

    /// How a request goes on with a run.
    enum Match: Int, Comparable {
        /// The reply stands in the history in other words, as some clients tell it again.
        case told
        /// The reply stands in the history as it was.
        case exact
        /// The call that failed is made again.
        case again

        static func < (left: Match, right: Match) -> Bool { left.rawValue < right.rawValue }
    }

    /// Whether a request goes on with this run; nil when it does not.
    func match(_ request: RecordedRequest) -> Match? {
        guard request.digests.starts(with: digests) else { return nil }
        if isFailed { return request.digests.count == digests.count ? .again : nil }
        guard request.digests.count > digests.count, let reply = calls.last?.reply,
            case .reply(let told)? = request.messages[digests.count].first
        else { return nil }
        return Self.match(reply, told)
    }

    private static func match(_ reply: Dialogue.Reply, _ told: Dialogue.Reply) -> Match? {
        let (text, words) = (reply.text.trimmingBlanks, told.text.trimmingBlanks)
        func isTold(_ call: Dialogue.Call) -> Bool {
            told.calls.contains {
                $0.name == call.name && $0.arguments == call.arguments && $0.spoiltArguments == call.spoiltArguments
                    && ($0.id == nil || call.id == nil || $0.id == call.id)
            }
        }
        let hasCalls = reply.calls.allSatisfy(isTold)
        if text == words, hasCalls, told.calls.count == reply.calls.count { return .exact }
        return hasCalls && words.contains(text) && !(text.isEmpty && reply.calls.isEmpty) ? .told : nil
    }

    /// Where a request left this run: how much is common with it, and what was changed. Nil when no reply of the run is
    /// part of what they share.
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

    /// What happened: the messages of a request, with the model's own replies in place of how the client told them.
    func dialogue(_ request: RecordedRequest) -> Dialogue {
        var entries: [Dialogue.Entry] = []
        var index = 0
        func isReply(_ index: Int) -> Bool {
            guard case .reply? = request.messages[index].first else { return false }
            return true
        }
        while index < request.messages.count {
            guard isReply(index), let call = calls.first(where: { $0.messages == index }) else {
                entries += request.messages[index]
                index += 1
                continue
            }
            entries.append(.reply(call.reply))
            // Results of the provider's own tools stand in the same message.
            entries += request.messages[index].dropFirst()
            index += 1
            while index < request.messages.count, isReply(index) { index += 1 }
        }
        if let last = calls.last, last.messages == request.messages.count { entries.append(.reply(last.reply)) }
        return Dialogue(entries)
    }
}
