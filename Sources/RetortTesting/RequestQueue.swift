import NIOCore
import NIOHTTP1

/// Works requests off, a bounded number at once, on one event loop.
final class RequestQueue {
    private(set) var tally = EndpointTally()
    private var options: FaultyEndpoint.Options
    private let loop: any EventLoop
    private let answer: @Sendable (ReceivedRequest) async throws -> CannedAnswer
    private var waiting: ArraySlice<(ReceivedRequest, any Channel)> = []
    private var working = 0
    private var faultCount = 0
    private var random: UInt64

    init(
        _ options: FaultyEndpoint.Options, loop: any EventLoop,
        answer: @escaping @Sendable (ReceivedRequest) async throws -> CannedAnswer
    ) {
        self.options = options
        self.loop = loop
        self.answer = answer
        random = options.seed
    }

    func misbehave(_ faults: [Fault], _ rate: Double) {
        options.faults = faults
        options.faultRate = rate
    }

    func receive(_ request: ReceivedRequest, on channel: any Channel) {
        if request.path.hasSuffix("/models") {
            return Reply(channel).whole(200, #"{"object":"list","data":[{"id":"canned","object":"model"}]}"#)
        }
        if request.path.hasSuffix("/stats") {
            let faults = tally.faults.map { #""\#($0.key.rawValue)":\#($0.value)"# }.joined(separator: ",")
            let json =
                #"{"requests":\#(tally.requests),"served":\#(tally.served),"busySeconds":\#(tally.busySeconds),"#
                + #""mostAtOnce":\#(tally.mostAtOnce),"faults":{\#(faults)}}"#
            return Reply(channel).whole(200, json)
        }
        tally.requests += 1
        waiting.append((request, channel))
        workOff()
    }

    private func workOff() {
        while working < options.slots, let (request, channel) = waiting.popFirst() {
            working += 1
            tally.mostAtOnce = max(tally.mostAtOnce, working)
            let start = NIODeadline.now()
            let fault = drawFault()
            let bound = NIOLoopBound(self, eventLoop: loop)
            if options.latency > 0 {
                loop.scheduleTask(in: .nanoseconds(Int64(options.latency * 1e9))) {
                    bound.value.tally.busySeconds += Double((NIODeadline.now() - start).nanoseconds) / 1e9
                    bound.value.serve(request, channel, fault)
                }
            } else {
                serve(request, channel, fault)
            }
        }
    }

    private func serve(_ request: ReceivedRequest, _ channel: any Channel, _ fault: Fault?) {
        let bound = NIOLoopBound(self, eventLoop: loop)
        let (loop, handler) = (loop, answer)
        Task {
            let answer: CannedAnswer
            do {
                answer = try await handler(request)
            } catch {
                answer = CannedAnswer(["\(error)"], status: 500)
            }
            loop.execute { bound.value.finish(request, answer, answer.fault ?? fault, channel) }
        }
    }

    private func finish(_ request: ReceivedRequest, _ answer: CannedAnswer, _ fault: Fault?, _ channel: any Channel) {
        working -= 1
        if let fault { tally.faults[fault, default: 0] += 1 } else { tally.served += 1 }
        Reply(channel).send(answer, to: request, fault: fault, pause: options.pause)
        workOff()
    }

    /// SplitMix64, so that a seed gives the same faults anywhere.
    private func drawFault() -> Fault? {
        guard !options.faults.isEmpty, options.faultRate > 0 else { return nil }
        random &+= 0x9E37_79B9_7F4A_7C15
        var mixed = random
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        mixed ^= mixed >> 31
        guard Double(mixed >> 11) / Double(1 << 53) < options.faultRate else { return nil }
        faultCount += 1
        return options.faults[faultCount % options.faults.count]
    }
}
