/// Requests that wait for room, in the order in which they came.
///
/// One that does not fit yet does not hold up smaller ones behind it, for a limited time.
struct WaitingRequests {
    private var requests: [PendingRequest] = []
    /// How often later requests were admitted before the first waiting one.
    private var passes = 0

    /// After this many others were admitted before it, a request is waited for.
    static let mostPasses = 128

    var count: Int { requests.count }

    var isEmpty: Bool { requests.isEmpty }

    mutating func append(_ request: PendingRequest) { requests.append(request) }

    /// Offers the requests in their order, and takes out those that begin.
    /// - Parameters:
    ///   - running: the number of samples that run now.
    ///   - most: the most samples that run at once, unless all belong to one request.
    ///   - begin: begins a request, and returns whether there was room for it.
    mutating func admit(running: Int, most: Int, begin: (PendingRequest) -> Bool) {
        requests.removeAll { $0.isCancelled }
        var samples = running
        var left: [PendingRequest] = []
        for (number, request) in requests.enumerated() {
            guard samples < most, left.isEmpty || passes < Self.mostPasses else {
                left += requests[number...]
                break
            }
            guard samples == 0 || samples + request.request.samples <= most, begin(request) else {
                left.append(request)
                continue
            }
            passes = left.isEmpty ? 0 : passes + 1
            samples += request.request.samples
        }
        requests = left
    }
}
