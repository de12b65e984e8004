import RetortCore

/// A few sessions started ahead, so that taking one costs a message.
actor ReadySessions {
    private let zygote: PythonProcess
    private let level: SandboxLevel
    private let target: Int
    private var ready: [PythonSession] = []
    private var isFilling = false
    /// The kernel bounds the descriptors on their way between processes, and the cores what starts at once.
    private let starts = ConcurrencyLimit(width: 16)

    init(_ zygote: PythonProcess, level: SandboxLevel, target: Int) {
        self.zygote = zygote
        self.level = level
        self.target = target
    }

    /// A fresh session with tools: one that is ready, or a new one.
    func take(offering tools: JSONValue) async throws -> PythonSession {
        defer { fill() }
        // One that died while it waited is passed over.
        while let session = ready.popLast() {
            if (try? await session.offer(tools)) != nil { return session }
        }
        let session = try await start()
        try await session.offer(tools)
        return session
    }

    private func start() async throws -> PythonSession {
        let (zygote, level) = (zygote, level)
        return try await starts.pass { try await PythonSession(from: zygote, requiring: level) }
    }

    /// Starts sessions in the background until enough are ready. A start that fails is left to who asks next.
    func fill() {
        guard !isFilling, ready.count < target else { return }
        isFilling = true
        Task {
            while ready.count < target, let session = try? await start() { ready.append(session) }
            isFilling = false
        }
    }

    func close() {
        for session in ready { session.close() }
        ready = []
    }
}
