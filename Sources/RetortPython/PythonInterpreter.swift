import CWorker
import Foundation
import Glibc
import RetortCore

/// A warmed CPython from which sessions are forked in milliseconds: numpy, sympy and the usual modules are imported
/// once.
///
/// Model-written code never runs in Retort's own process. A session's processes see none of the host's environment
/// variables, and have limits on memory, processor time, open files and file size.
///
/// ```swift
/// let python = try await PythonInterpreter()
/// let session = try await python.session(tools: [search])
/// let observation = try await session.perform(.code("print(6 * 7)"))   // "42"
/// ```
public actor PythonInterpreter {
    private let zygote: PythonProcess
    private let limits: PythonLimits

    /// Starts the interpreter.
    /// - Parameter python: the executable; nil looks at `RETORT_PYTHON`, then for `.retort/python` upwards from the
    ///   current folder and from the program's.
    public init(python: URL? = nil, limits: PythonLimits = PythonLimits()) async throws {
        let executable = try python ?? Self.locate()
        guard let script = Bundle.module.url(forResource: "worker", withExtension: "py") else {
            throw PythonError.cannotStart(path: executable.path, reason: "worker.py is missing from the program")
        }
        let (channel, peer) = try FrameChannel.pair()
        defer { Glibc.close(peer) }
        let configuration = #"{"memory": \#(limits.memoryBytes)}"#
        try Self.spawn(executable.path, ["-s", "-P", script.path, configuration], socket: peer)
        do {
            zygote = try await PythonProcess.greeted(channel)
        } catch {
            throw PythonError.cannotStart(path: executable.path, reason: "it ended before it was ready")
        }
        self.limits = limits
    }

    private static func spawn(_ path: String, _ arguments: [String], socket: Int32) throws {
        // Fixed hashing, so that sets print in the same order every time; one thread for linear algebra.
        let environment = ["PYTHONHASHSEED=0", "OPENBLAS_NUM_THREADS=1", "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1"]
        var list = ([path] + arguments).map { strdup($0) } + [nil]
        var variables = environment.map { strdup($0) } + [nil]
        defer {
            for text in list + variables { free(text) }
        }
        var pid: pid_t = 0
        let status = cw_spawn(path, &list, &variables, socket, &pid)
        guard status == 0 else {
            throw PythonError.cannotStart(path: path, reason: String(cString: strerror(status)))
        }
    }

    private static func locate() throws -> URL {
        if let path = ProcessInfo.processInfo.environment["RETORT_PYTHON"] { return URL(fileURLWithPath: path) }
        var looked: [String] = []
        let starts = [FileManager.default.currentDirectoryPath, Bundle.main.bundlePath]
        for start in starts {
            var folder = URL(fileURLWithPath: start).standardizedFileURL
            while folder.path != "/" {
                let candidate = folder.appendingPathComponent(".retort/python/bin/python")
                if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
                looked.append(candidate.path)
                folder.deleteLastPathComponent()
            }
        }
        throw PythonError.notFound(looked: Array(looked.prefix(2)))
    }

    /// A fresh session with its own state.
    public func session(tools: [any Tool] = []) async throws -> PythonEnvironment {
        let process = try await zygote.fork()
        try process.channel.send(["op": "tools", "tools": .array(tools.map(\.specification.frame))])
        return PythonEnvironment(process, tools: tools, limits: limits)
    }

    /// Ends the zygote; sessions already started go on.
    public func close() { zygote.kill() }
}

extension ToolSpecification {
    fileprivate var frame: JSONValue {
        [
            "name": .string(name), "summary": .string(summary),
            "parameters": .array(
                parameters.map { ["name": .string($0.name), "required": .bool($0.isRequired)] }),
        ]
    }
}
