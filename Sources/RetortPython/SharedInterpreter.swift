import RetortCore

/// An interpreter that is started when it is first needed. All who ask while it starts wait for the same one.
package actor SharedInterpreter {
    private let limits: PythonLimits
    private let sandbox: SandboxLevel
    private var starting: Task<PythonInterpreter, any Error>?

    /// - Parameters:
    ///   - limits: the limits of each program and session.
    ///   - sandbox: the weakest acceptable sandbox.
    package init(limits: PythonLimits, requiring sandbox: SandboxLevel) {
        (self.limits, self.sandbox) = (limits, sandbox)
    }

    /// The interpreter, once it has started.
    /// - Throws: `PythonError`; whoever asks next starts it again.
    package func started() async throws -> PythonInterpreter {
        if let starting { return try await starting.value }
        let (limits, sandbox) = (limits, sandbox)
        let start = Task { try await PythonInterpreter(limits: limits, requiring: sandbox) }
        starting = start
        do {
            return try await start.value
        } catch {
            starting = nil
            throw error
        }
    }

    /// Closes the interpreter if it was started.
    package func close() async {
        if let started = try? await starting?.value { await started.close() }
    }
}
