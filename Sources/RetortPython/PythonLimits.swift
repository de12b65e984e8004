/// What a program may use. Every limit that is reached becomes an observation; none stops the session.
public struct PythonLimits: Sendable, Hashable {
    /// Wall-clock seconds for a program, time in tools not counted.
    public var seconds: Double
    /// Characters of printed output, and of the last value.
    public var outputCharacters: Int
    /// Address space, in bytes, for each process.
    public var memoryBytes: Int
    /// The size of a program's text, in UTF-8 bytes.
    public var programBytes = 256 << 10
    /// Processor seconds for a program: a limit that counts work, whatever else the machine does. Nil is two more than
    /// `seconds`.
    public var processorSeconds: Int?
    /// Calls of tools in one program.
    public var toolCalls = 30
    /// Seconds for one call of a tool, which are not the program's.
    public var toolSeconds: Double = 120
    /// What a session's private `/tmp` holds, in bytes; also the size of any file.
    public var temporaryBytes = 16 << 20
    /// What all sessions together may hold in memory, where control groups can be had; nil is three quarters of the machine's.
    public var totalMemoryBytes: Int?
    /// How many processes all sessions together may be, where control groups can be had.
    public var totalProcesses = 4096
    /// The moment at which a program's clocks stand still, in seconds since 1970; nil lets them run. With it, a recorded
    /// trajectory replays to the same observations even when it asks for the time.
    public var clock: Double?

    /// - Parameters:
    ///   - seconds: of a program's own time.
    ///   - outputCharacters: that are kept of what a program prints.
    ///   - memoryBytes: that a session may take.
    public init(seconds: Double = 10, outputCharacters: Int = 10_000, memoryBytes: Int = 2 << 30) {
        self.seconds = seconds
        self.outputCharacters = outputCharacters
        self.memoryBytes = memoryBytes
    }
}
