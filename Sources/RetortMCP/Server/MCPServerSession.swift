import RetortCore
import Synchronization

/// One client of a server, from its introduction to its end.
final class MCPServerSession: Sendable {
    private struct State {
        var isIntroduced = false
        var calls: [JSONRPCID: RunningCall] = [:]
        var lastUse = ContinuousClock.now
    }

    /// Sends a message to the client.
    typealias Send = @Sendable (JSONRPCMessage) async -> Void

    private let server: MCPServer
    private let state = Mutex(State())

    init(_ server: MCPServer) { self.server = server }

    /// Whether no call runs and no request has come for this long.
    func isIdle(for seconds: Double) -> Bool {
        state.withLock { $0.calls.isEmpty && $0.lastUse.duration(to: .now) > .seconds(seconds) }
    }

    /// Takes a message. Messages must be taken in order; the returned work, which ends with the answer, may run
    /// beside other work.
    /// - Returns: nil when there is nothing more to do.
    func take(_ message: JSONRPCMessage) -> (@Sendable (_ send: @escaping Send) async -> Void)? {
        state.withLock { $0.lastUse = .now }
        switch message {
        case .notification("notifications/cancelled", let params):
            let call = params["requestId"].flatMap(JSONRPCID.init).flatMap { id in state.withLock { $0.calls[id] } }
            call?.cancel()
            return nil
        // The server sends no requests, so responses mean nothing.
        case .notification, .response, .failure: return nil
        case .request(let id, "tools/call", let params): return begin(id, params)
        case .request(let id, let method, let params):
            let answer: JSONRPCMessage
            do throws(JSONRPCError) {
                answer = .response(id, try self.answer(method, params))
            } catch {
                answer = .failure(id, error)
            }
            return { send in await send(answer) }
        }
    }

    /// Cancels all calls.
    func close() { for call in state.withLock({ Array($0.calls.values) }) { call.cancel() } }

    private func answer(_ method: String, _ params: [String: JSONValue]) throws(JSONRPCError) -> JSONValue {
        switch method {
        case "ping": return [:]
        case "initialize":
            guard let asked = params["protocolVersion"]?.string else {
                throw JSONRPCError(code: JSONRPCError.invalidParams, message: "'protocolVersion' is missing")
            }
            state.withLock { $0.isIntroduced = true }
            var members: [String: JSONValue] = [
                "protocolVersion": .string(MCPVersion.known.contains(asked) ? asked : MCPVersion.newest),
                "capabilities": ["tools": ["listChanged": false]],
                "serverInfo": ["name": .string(server.name), "version": .string(Retort.version)],
            ]
            members["instructions"] = server.instructions.map(JSONValue.string)
            return .object(members)
        case "tools/list":
            try checkIntroduction()
            guard params["cursor"] == nil else {
                throw JSONRPCError(code: JSONRPCError.invalidParams, message: "there is no page of that cursor")
            }
            return ["tools": server.list]
        default:
            throw JSONRPCError(code: JSONRPCError.methodNotFound, message: "this server does not offer \(method)")
        }
    }

    private func checkIntroduction() throws(JSONRPCError) {
        guard state.withLock(\.isIntroduced) else {
            throw JSONRPCError(code: JSONRPCError.invalidRequest, message: "the first request must be 'initialize'")
        }
    }

    // MARK: Calls

    private func begin(
        _ id: JSONRPCID, _ params: [String: JSONValue]
    ) -> (@Sendable (_ send: @escaping Send) async -> Void)? {
        let call = RunningCall()
        do throws(JSONRPCError) {
            try checkIntroduction()
            guard let name = params["name"]?.string, let entry = server.tools[name] else {
                let known = server.tools.keys.sorted().joined(separator: ", ")
                throw JSONRPCError(
                    code: JSONRPCError.invalidParams,
                    message: "there is no tool \(params["name"]?.jsonText ?? "without a name"); there is \(known)")
            }
            guard let arguments = (params["arguments"] ?? [:]).object else {
                throw JSONRPCError(code: JSONRPCError.invalidParams, message: "'arguments' is no object")
            }
            let refusal = state.withLock { state -> String? in
                if state.calls[id] != nil { return "a request with this id is under way" }
                if state.calls.count >= server.limits.maximumCalls {
                    return "\(state.calls.count) calls are under way, which is the most at once; ask again later"
                }
                state.calls[id] = call
                return nil
            }
            if let refusal { throw JSONRPCError(code: JSONRPCError.invalidRequest, message: refusal) }
            let token = params["_meta"]?["progressToken"].flatMap(JSONRPCID.init)
            return { [self] send in
                let result = await call.run { await self.result(of: entry, arguments, self.reporter(token, send)) }
                state.withLock { _ = $0.calls.removeValue(forKey: id) }
                // A request that was cancelled gets no answer (2025-11-25, Cancellation).
                if let result { await send(.response(id, result.json)) }
            }
        } catch {
            return { send in await send(.failure(id, error)) }
        }
    }

    private func result(
        of entry: MCPServer.Entry, _ arguments: [String: JSONValue], _ reporter: MCPReporter
    ) async -> MCPResult {
        // The calling model can correct its arguments if it reads the reason (2025-11-25, Tools, Error Handling).
        if let fault = entry.check.fault(in: .object(arguments)) {
            return .failure("\(entry.tool.name): \(fault)")
        }
        let seconds = server.limits.callSeconds
        do {
            let result = try await withDeadline(seconds: seconds) { try await entry.tool.call(arguments, reporter) }
            return result ?? .failure("\(entry.tool.name) gave no result within \(seconds.plain) seconds")
        } catch {
            return .failure("\(error)")
        }
    }

    private func reporter(_ token: JSONRPCID?, _ send: @escaping Send) -> MCPReporter {
        guard let token else { return MCPReporter(send: nil) }
        let left = Counter(server.limits.maximumWords)
        return MCPReporter { word in
            guard left.take() else { return }
            var params: [String: JSONValue] = ["progressToken": token.json, "progress": .number(word.progress)]
            params["total"] = word.total.map(JSONValue.number)
            params["message"] = word.message.map(JSONValue.string)
            await send(.notification(method: "notifications/progress", params: params))
        }
    }
}

/// Counts down.
private final class Counter: Sendable {
    private let left: Mutex<Int>
    init(_ count: Int) { left = Mutex(count) }
    func take() -> Bool {
        left.withLock { left in
            left -= 1
            return left >= 0
        }
    }
}

/// A call that can be cancelled, even before it runs.
private final class RunningCall: Sendable {
    private struct State {
        var task: Task<MCPResult, Never>?
        var isCancelled = false
    }

    private let state = Mutex(State())

    func cancel() {
        let task = state.withLock { state in
            state.isCancelled = true
            return state.task
        }
        task?.cancel()
    }

    /// - Returns: nil when the call was cancelled.
    func run(_ work: @escaping @Sendable () async -> MCPResult) async -> MCPResult? {
        let task = state.withLock { state -> Task<MCPResult, Never>? in
            guard !state.isCancelled else { return nil }
            let task = Task { await work() }
            state.task = task
            return task
        }
        guard let task else { return nil }
        let result = await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            cancel()
        }
        return state.withLock(\.isCancelled) ? nil : result
    }
}
