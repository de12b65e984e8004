import Foundation
import Testing

@testable import RetortPython

@Suite("What the kernel reports about processes")
struct ProcessFactsTests {
    @Test("a process's descendants are found, without those that do not count")
    func descendants() throws {
        let shell = Process()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        shell.arguments = ["-c", "sh -c 'sleep 60 & wait' & sleep 60 & echo; wait"]
        let output = Pipe()
        shell.standardOutput = output
        try shell.run()
        defer {
            for pid in ProcessFacts.descendants(of: shell.processIdentifier) { kill(pid, SIGKILL) }
        }
        _ = try output.fileHandleForReading.read(upToCount: 1)
        let root = shell.processIdentifier
        var found = ProcessFacts.descendants(of: root)
        // The inner shell starts its own child a little later.
        for _ in 0..<500 where found.count < 4 {
            usleep(10_000)
            found = ProcessFacts.descendants(of: root)
        }
        #expect(found.count == 4)
        let children = ProcessFacts.children(of: root)
        #expect(children.count == 2)
        let inner = try #require(children.first { !ProcessFacts.children(of: $0).isEmpty })
        #expect(found.subtracting(ProcessFacts.descendants(of: root, besides: [inner])).count == 2)
        #expect(ProcessFacts.descendants(of: root, besides: Set(children)) == [root])
    }

    @Test("a process that is not there has none")
    func none() {
        #expect(ProcessFacts.descendants(of: pid_t.max) == [])
        #expect(ProcessFacts.children(of: pid_t.max) == [])
    }
}
