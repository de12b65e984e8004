import RetortCore
import Synchronization

/// One connection to a server, from the initialization to its end: requests and their answers.
final class MCPConnection: Sendable {
    private struct State {
        var pending: [JSONRPCID: PendingCall] = [:]
        var number = 0
        /// Why no more calls are taken. Calls may still wait for their own answers if only the session was lost.
        var ending: (any Error)?
        var strays = 0
        var firstStray = ""
        var reader: Task<Void, Never>?

        /// Why the connection is over: it takes no more calls, and none waits.
        var finished: (any Error)? { pending.isEmpty ? ending : nil }
    }

    let name: String
    private let transport: any MCPTransport
    private let options: MCPOptions
    private let listChanged: @Sendable () -> Void
    private let state = Mutex(State())

    /// - Parameter listChanged: called when the server says that its tools have changed.
    init(
        _ name: String, _ transport: any MCPTransport, _ options: MCPOptions,
        listChanged: @escaping @Sendable () -> Void
    ) {
        self.name = name
        self.transport = transport
        self.options = options
        self.listChanged = listChanged
        let reader = Task { [weak self] in
            while let connection = self, await connection.readNext(from: transport) {}
        }
        state.withLock { $0.reader = reader }
    }

    /// Why the connection takes no more calls; nil while it does.
    var ending: (any Error)? { state.withLock(\.ending) }

    /// Ends the connection and everything that waits on it.
    func close(_ reason: (any Error)? = nil) async {
        end(reason ?? MCPError.closed(server: name))
        state.withLock { $0.reader }?.cancel()
        await transport.close()
    }

    // MARK: Introduction

    /// Carries out the protocol's initialization.
    /// - Throws: `MCPError`.
    func introduce() async throws -> MCPServerInformation {
        var version = MCPVersion.newest
        var answer: JSONValue
        do {
            answer = try await initialize(version)
        } catch MCPError.refused(_, _, let error) {
            // Some servers refuse and name the versions that they speak, instead of offering one.
            let theirs = (error.data?["supported"]?.array ?? []).compactMap(\.string)
            guard let common = MCPVersion.known.first(where: theirs.contains), common != version else { throw error }
            version = common
            answer = try await initialize(version)
        }
        guard let offered = answer["protocolVersion"]?.string else {
            throw MCPError.protocolBroken(server: name, reason: "its introduction names no protocolVersion")
        }
        guard MCPVersion.known.contains(offered) else {
            throw MCPError.unknownVersion(server: name, offered: offered)
        }
        await transport.began(version: offered)
        try await transport.send(.notification(method: "notifications/initialized", params: [:]))
        return MCPServerInformation(answer, version: offered)
    }

    private func initialize(_ version: String) async throws -> JSONValue {
        try await request(
            "initialize",
            [
                "protocolVersion": .string(version), "capabilities": [:],
                "clientInfo": ["name": "retort", "version": .string(Retort.version)],
            ], seconds: options.startSeconds, longest: options.startSeconds)
    }

    // MARK: Requests

    /// Sends a request. When the caller is cancelled or the time is up, the server is told.
    /// - Parameters:
    ///   - seconds: the time until the answer or the next progress report.
    ///   - longest: the time until the answer in any case.
    /// - Throws: `MCPError`, `CancellationError`.
    func request(
        _ method: String, _ params: [String: JSONValue], seconds: Double, longest: Double,
        progress: (@Sendable (MCPProgress) -> Void)? = nil
    ) async throws -> JSONValue {
        let call = PendingCall(method, seconds: seconds, longest: longest, progress: progress)
        let id = try enter(call)
        var params = params
        if progress != nil { params["_meta"] = ["progressToken": id.json] }
        let alarm = Alarm(
            first: call.secondsLeft,
            again: { [self] in
                let left = call.secondsLeft
                guard left <= 0 else { return left }
                let late = MCPError.late(
                    server: name, what: method, seconds: seconds, remarks: remarks)
                giveUp(id, .failure(late), reason: "no answer within \(seconds.plain) seconds")
                return nil
            })
        defer { alarm.cancel() }
        return try await withTaskCancellationHandler {
            do {
                try await transport.send(.request(id, method: method, params: params))
            } catch {
                leave(id)?.end(.failure(error))
            }
            return try await call.value()
        } onCancel: {
            giveUp(id, .failure(CancellationError()), reason: "the caller no longer needs it")
        }
    }

    private func enter(_ call: PendingCall) throws -> JSONRPCID {
        try state.withLock { state in
            if let ending = state.ending { throw ending }
            guard state.pending.count < options.maximumRequests else {
                throw MCPError.busy(server: name, limit: options.maximumRequests)
            }
            state.number += 1
            let id = JSONRPCID(state.number)
            state.pending[id] = call
            return id
        }
    }

    private func leave(_ id: JSONRPCID) -> PendingCall? { state.withLock { $0.pending.removeValue(forKey: id) } }

    /// Stops waiting, and tells the server so; an initialization is never cancelled (2025-11-25, Cancellation).
    private func giveUp(_ id: JSONRPCID, _ result: Result<JSONValue, any Error>, reason: String) {
        guard let call = leave(id) else { return }
        call.end(result)
        transport.forget(id)
        if state.withLock({ $0.finished }) != nil { Task { [transport] in await transport.close() } }
        guard call.method != "initialize" else { return }
        Task { [transport] in
            try? await transport.send(
                .notification(
                    method: "notifications/cancelled", params: ["requestId": id.json, "reason": .string(reason)]))
        }
    }

    // MARK: What comes

    /// Reads and handles one arrival.
    /// - Returns: false when the connection has ended.
    private func readNext(from transport: any MCPTransport) async -> Bool {
        do {
            switch try await transport.receive() {
            case .message(let message): try await take(message)
            case .stray(let text): try note(text)
            case .broken(let id, let error):
                // Whoever waits for the answer asks for a new session at once, so it is marked lost first.
                if case .sessionLost = error { state.withLock { $0.ending = $0.ending ?? error } }
                leave(id)?.end(.failure(error))
            }
            // The server may have processed the other calls, so these wait for their own answers.
            if let over = state.withLock({ $0.finished }) { throw over }
            return true
        } catch {
            end(explained(error))
            await transport.close()
            return false
        }
    }

    private func take(_ message: JSONRPCMessage) async throws {
        switch message {
        case .response(let id, let result): leave(id)?.end(.success(result))
        case .failure(let id?, let error):
            guard let call = leave(id) else { return }
            call.end(.failure(MCPError.refused(server: name, method: call.method, error: error)))
        case .failure(nil, let error): try note("an error without a request: \(error)")
        case .notification("notifications/tools/list_changed", _): listChanged()
        case .notification("notifications/progress", let params):
            let token = params["progressToken"].flatMap(JSONRPCID.init)
            if let token, let call = state.withLock({ $0.pending[token] }), let word = MCPProgress(params) {
                call.moved(word)
            }
        // Other notifications are for clients that show them to users.
        case .notification: break
        case .request(let id, let method, _): try await transport.send(answer(to: id, method))
        }
    }

    /// A server may ping us; sampling, elicitation and roots are not offered to it.
    private func answer(to id: JSONRPCID, _ method: String) -> JSONRPCMessage {
        if method == "ping" { return .response(id, [:]) }
        return .failure(
            id, JSONRPCError(code: JSONRPCError.methodNotFound, message: "this client does not offer \(method)"))
    }

    private func note(_ text: String) throws {
        let strays = state.withLock { state in
            state.strays += 1
            if state.strays == 1 { state.firstStray = text }
            return state.strays
        }
        guard strays <= options.maximumStrayLines else { throw garbage ?? MCPError.closed(server: name) }
    }

    private var garbage: MCPError? {
        let (strays, first) = state.withLock { ($0.strays, $0.firstStray) }
        return strays > 0 ? .garbage(server: name, lines: strays, first: first) : nil
    }

    private var remarks: String {
        let (strays, first) = state.withLock { ($0.strays, $0.firstStray) }
        return strays > 0 ? "it wrote \(strays) lines that are no messages, the first: \(first)" : ""
    }

    /// If a server wrote garbage and then ended without using its standard error, the garbage is the better
    /// explanation.
    private func explained(_ error: any Error) -> any Error {
        if case MCPError.ended(_, _, let errors) = error, errors.isEmpty, let garbage { return garbage }
        return error
    }

    private func end(_ error: any Error) {
        let calls = state.withLock { state in
            if state.ending == nil { state.ending = error }
            defer { state.pending = [:] }
            return Array(state.pending.values)
        }
        for call in calls { call.end(.failure(error)) }
    }
}

/// How a server introduced itself.
public struct MCPServerInformation: Sendable, Hashable {
    /// The version of the protocol that both sides use.
    public var version: String
    /// The server's own name.
    public var name: String
    /// The server's own version.
    public var serverVersion: String
    /// The server's instructions for use; nil if it gives none.
    public var instructions: String?
    /// Whether the server has tools.
    public var offersTools: Bool

    init(_ answer: JSONValue, version: String) {
        self.version = version
        name = answer["serverInfo"]?["name"]?.string ?? ""
        serverVersion = answer["serverInfo"]?["version"]?.string ?? ""
        instructions = answer["instructions"]?.string
        offersTools = answer["capabilities"]?["tools"]?.object != nil
    }
}
