import Testing

@testable import RetortWorld

@Suite("Dealing into parts")
struct DealingTests {
    @Test("the halves of two seeds are neither the same nor each other's complement, and parts are of like size")
    func independent() {
        func held(_ seed: Int) -> [Bool] { (0..<400).map { Dealing.part(of: "\(seed) \($0)", among: 2) == 1 } }
        let deals = (0..<6).map(held)
        for (index, deal) in deals.enumerated() {
            #expect((150...250).contains(deal.count(where: \.self)))
            for other in deals[(index + 1)...] {
                #expect((120...280).contains(zip(deal, other).count { $0 == $1 }))
            }
        }
        let quarters = Dictionary(grouping: 0..<400) { Dealing.part(of: "apis-train-\($0)", among: 4) }
        #expect(quarters.count == 4 && quarters.values.allSatisfy { (60...140).contains($0.count) })
    }
}
