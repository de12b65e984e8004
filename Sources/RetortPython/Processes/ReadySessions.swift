import RetortCore

/// A few sessions that are started ahead, so that taking one costs only a message.
actor ReadySessions {
    private let zygote: PythonProcess
    private let level: SandboxLevel
    private let target: Int
    private var ready: [PythonSession] = []
    private var isFilling = false
    /// The kernel limits the descriptors in transit between processes, and the cores limit what can usefully start at
    /// once.
    private let starts = ConcurrencyLimit(width: 16)

    init(_ zygote: PythonProcess, level: SandboxLevel, target: Int) {
        self.zygote = zygote
        self.level = level
        self.target = target
    }

    /// A fresh session with tools: a ready one, or a new one.
    func take(offering tools: JSONValue) async throws -> PythonSession {
        defer { fill() }
        // A session that died while it waited is skipped.
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

    /// Starts sessions in the background until enough are ready. A failed start is left for the next caller to
    /// report.
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
