import Foundation
import Glibc
import RetortProcesses
import Testing

@Suite("Child processes")
struct ChildGroupTests {
    private func end(of group: ChildGroup) async -> ChildEnd {
        await withCheckedContinuation { continuation in group.onEnd { continuation.resume(returning: $0) } }
    }

    /// Runs a shell script and gives what it printed.
    private func output(of script: String, folder: String? = nil, environment: [String] = []) async throws -> String {
        // snippet: A child
        let pipe = Pipe()
        let group = try ChildGroup(
            "/bin/sh", ["-c", script], environment: environment, folder: folder,
            descriptors: [-1, pipe.fileHandleForWriting.fileDescriptor, -1])
        try pipe.fileHandleForWriting.close()
        let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
        // end snippet
        _ = await end(of: group)
        return String(decoding: data, as: UTF8.self)
    }

    @Test(
        "how a program ended is told",
        arguments: [("exit 3", ChildEnd.exited(3)), ("kill -9 $$", .signalled(9)), ("true", .exited(0))])
    func endings(script: String, expected: ChildEnd) async throws {
        let group = try ChildGroup("/bin/sh", ["-c", script], descriptors: [-1, -1, -1])
        #expect(await end(of: group) == expected)
        #expect(group.end == expected)
    }

    @Test("a program's children end with it, however it ends", arguments: ["exit 0", "sleep 600"])
    func children(last: String) async throws {
        let pipe = Pipe()
        let group = try ChildGroup(
            "/bin/sh", ["-c", "sleep 600 & echo started; \(last)"], environment: ["PATH=/usr/bin:/bin"],
            descriptors: [-1, pipe.fileHandleForWriting.fileDescriptor, -1])
        try pipe.fileHandleForWriting.close()
        #expect(pipe.fileHandleForReading.availableData == Data("started\n".utf8))
        group.signal(SIGTERM)
        _ = await end(of: group)
        // The pipe's other end is held by the children, too: it closes when the last of them is gone.
        #expect(try pipe.fileHandleForReading.readToEnd() ?? Data() == Data())
        group.signal(SIGKILL)
    }

    @Test("a program gets its folder and its environment, and nothing else")
    func surroundings() async throws {
        setenv("RETORT_TEST_SECRET", "x", 1)
        #expect(
            try await output(of: "pwd; echo $A$RETORT_TEST_SECRET", folder: "/usr", environment: ["A=b"]) == "/usr\nb\n"
        )
    }

    @Test("a signal that is ignored here has its usual effect in a program")
    func brokenPipe() async throws {
        signal(SIGPIPE, SIG_IGN)
        let group = try ChildGroup("/bin/sh", ["-c", "kill -PIPE $$; exit 5"], descriptors: [-1, -1, -1])
        #expect(await end(of: group) == .signalled(SIGPIPE))
    }

    @Test("programs are found by path and in PATH; what is not there, or no program, is named")
    func search() throws {
        #expect(try ProgramSearch.find("sh", path: "/nowhere:/bin").hasSuffix("/bin/sh"))
        #expect(try ProgramSearch.find("bin/sh", path: "", folder: "/") == "//bin/sh")
        #expect(throws: ChildProcessError.notFound(command: "no-such", looked: ["/bin", "/usr/bin"])) {
            try ProgramSearch.find("no-such", path: "/bin:/usr/bin")
        }
        #expect(throws: ChildProcessError.notFound(command: "", looked: ["/bin"])) {
            try ProgramSearch.find("", path: "/bin")
        }
        #expect(throws: ChildProcessError.cannotStart(path: "/etc/passwd", reason: "it is not an executable file")) {
            try ProgramSearch.find("/etc/passwd", path: "")
        }
    }

    @Test("a text with a zero byte is refused, for it would be cut off")
    func zero() {
        #expect(throws: ChildProcessError.self) {
            try ChildProcess.start("/bin/echo", ["a\0b"], descriptors: [-1, -1, -1])
        }
    }
}
