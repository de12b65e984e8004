import Foundation
import Glibc
import Testing

@testable import RetortPython

@Suite("The channel to a worker")
struct FrameChannelTests {
    /// A channel to which the other side has said something that nobody has taken yet.
    private func spokenTo() async throws -> (channel: FrameChannel, peer: Int32) {
        let (channel, peer) = try FrameChannel.pair()
        let body = Data(#"{"op": "rehearsed"}"#.utf8)
        let message = withUnsafeBytes(of: UInt32(body.count).littleEndian) { Data($0) } + body
        #expect(message.withUnsafeBytes { write(peer, $0.baseAddress, $0.count) } == message.count)
        while !channel.hasUnread { try await Task.sleep(for: .milliseconds(1)) }
        return (channel, peer)
    }

    @Test("an answer is given while the channel is open")
    func open() async throws {
        let (channel, peer) = try await spokenTo()
        defer { close(peer) }
        #expect(await channel.nextFrame(seconds: 3600) == ["op": "rehearsed"])
        #expect(!channel.isClosed)
        channel.close()
    }

    @Test("an answer that is taken after the time was up is none: nothing can be said to its sender any more")
    func late() async throws {
        let (channel, peer) = try await spokenTo()
        defer { close(peer) }
        // What the alarm does when the task that waits gets no processor in time.
        channel.close()
        #expect(await channel.nextFrame(seconds: 3600) == nil)
    }
}
